@echo off
rem Finds a Python and hands everything to modules\install\launch.py, where every decision is made.
setlocal
rem Only running it tells: a name may lead to Python 2, to an old one, or to the Microsoft Store; to a batch file, hence call.
rem With -E it is not led astray by PYTHONHOME and the like.
set "check=import sys; sys.exit(sys.version_info < (3, 10))"
set "python=py -3"
call %python% -E -c "%check%" <nul >nul 2>nul
if not errorlevel 1 goto run
set "python=python"
call %python% -E -c "%check%" <nul >nul 2>nul
if not errorlevel 1 goto run
set "python=python3"
call %python% -E -c "%check%" <nul >nul 2>nul
if errorlevel 1 goto none

:run
%python% -E "%~dp0modules\install\launch.py" %*
set "code=%errorlevel%"
goto end

:none
set "code=1"
chcp 65001 >nul
echo Python 3.10 or newer was not found. Install Python (3.10 to 3.13 is best), then run START.bat again.
echo 没有找到 Python 3.10 或更新的版本，请先安装 Python（推荐 3.10 到 3.13），再运行 START.bat。

:end
if "%code%"=="0" goto close
if not "%~1"=="" goto close
rem A window opened by a double click closes at once. Unattended, nobody presses a key: the wait ends by itself.
timeout /t 60 2>nul
:close
exit /b %code%
