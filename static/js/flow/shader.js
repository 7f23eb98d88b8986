// The picture that moves, drawn by the graphics card.

import * as sources from './shaders.js';

export class Shader {
  // Throws where the browser has no WebGL 2, or the card cannot draw numbers.
  constructor(canvas) {
    const gl = this.gl = canvas.getContext('webgl2', {antialias: false, depth: false});
    if (!gl) throw new TypeError('no WebGL 2');
    const isPrecise = gl.getExtension('EXT_color_buffer_float') && gl.getExtension('OES_texture_float_linear');
    if (!isPrecise && !gl.getExtension('EXT_color_buffer_half_float')) throw new TypeError('no numbers in textures');
    this.numbers = isPrecise ? gl.RGBA32F : gl.RGBA16F;
    const {VERTICES, ...others} = sources;
    this.programs = Object.fromEntries(Object.entries(others).map(([name, text]) => [name, this.link(VERTICES, text)]));
    this.textures = {};
    this.framebuffers = {};
  }

  link(...texts) {
    const {gl} = this;
    const program = gl.createProgram();
    texts.forEach((text, index) => {
      const shader = gl.createShader(index ? gl.FRAGMENT_SHADER : gl.VERTEX_SHADER);
      gl.shaderSource(shader, text);
      gl.compileShader(shader);
      gl.attachShader(program, shader);
    });
    gl.linkProgram(program);
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new TypeError(gl.getProgramInfoLog(program) ?? 'lost');
    return program;
  }

  // ---- what is put in ----

  // `photo` and `still` are canvases, the second as large as the frames; `guide` holds the photo's colours on a grid.
  load({photo, still, guide, width, height}) {
    const {gl} = this;
    this.clear();
    this.grid = [width, height];
    this.resize(still.width, still.height);
    const colours = [gl.RGBA, gl.UNSIGNED_BYTE];
    this.put('still', gl.texImage2D.bind(gl, gl.TEXTURE_2D, 0, gl.RGBA8, ...colours, still));
    this.put('photo', gl.texImage2D.bind(gl, gl.TEXTURE_2D, 0, gl.RGBA8, ...colours, photo));
    const size = [photo.width, photo.height];
    this.put('sharp', gl.texImage2D.bind(gl, gl.TEXTURE_2D, 0, gl.RGBA8, ...size, 0, ...colours, null));
    this.draw('SHARPEN', ['sharp'], {size});
    this.putNumbers('guide', guide);
    ['ends', 'terms', 'rows', 'sums', 'paths', 'blend', 'weight'].forEach((name) => this.putNumbers(name, null));
  }

  resize(width, height) {
    Object.assign(this.gl.canvas, {width, height});
  }

  put(name, fill) {
    const {gl} = this;
    this.textures[name] ??= gl.createTexture();
    gl.bindTexture(gl.TEXTURE_2D, this.textures[name]);
    fill();
    for (const filter of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, filter, gl.LINEAR);
    for (const wrap of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, wrap, gl.CLAMP_TO_EDGE);
  }

  // Four numbers a cell; room for them where there are none yet.
  putNumbers(name, values) {
    const {gl, numbers} = this;
    this.put(name, () => gl.texImage2D(gl.TEXTURE_2D, 0, numbers, ...this.grid, 0, gl.RGBA, gl.FLOAT, values));
  }

  clear() {
    const {gl} = this;
    Object.values(this.textures).forEach((texture) => gl.deleteTexture(texture));
    Object.values(this.framebuffers).forEach((framebuffer) => gl.deleteFramebuffer(framebuffer));
    Object.assign(this, {textures: {}, framebuffers: {}});
  }

  // ---- what comes out ----

  // Takes over what the field has found.
  show({motion, edge, low, steps}) {
    this.steps = steps;
    Object.entries({motion, edge, low}).forEach(([name, values]) => this.putNumbers(name, values));
    this.draw('ENDS', ['ends'], {steps});
    this.draw('TERMS', ['terms']);
    this.draw('SUMS', ['rows'], {direction: [1, 0]}, {sums: 'terms'});
    this.draw('SUMS', ['sums'], {direction: [0, 1]}, {sums: 'rows'});
  }

  // Draws a frame onto the canvas; `time` is the part of the loop, 0–1.
  render(time) {
    const {canvas} = this.gl;
    this.draw('MOMENT', ['paths', 'blend', 'weight'], {steps: this.steps, time});
    this.draw('FRAME', [], {size: [canvas.width, canvas.height], time}, {photo: 'sharp'});
  }

  // `outputs` are textures, or none: the canvas. `inputs` gives samplers other textures than those of their own names.
  draw(name, outputs, values = {}, inputs = {}) {
    const {gl, textures} = this;
    const program = this.programs[name];
    gl.useProgram(program);
    this.aim(outputs, values.size);
    let unit = 0;
    const count = gl.getProgramParameter(program, gl.ACTIVE_UNIFORMS);
    for (let index = 0; index < count; index += 1) {
      const {name: uniform, type} = gl.getActiveUniform(program, index);
      const place = gl.getUniformLocation(program, uniform);
      if (type === gl.SAMPLER_2D) {
        gl.activeTexture(gl.TEXTURE0 + unit);
        gl.bindTexture(gl.TEXTURE_2D, textures[inputs[uniform] ?? uniform]);
        gl.uniform1i(place, unit);
        unit += 1;
      } else if (type === gl.FLOAT_VEC2) gl.uniform2fv(place, values[uniform] ?? this.grid);
      else if (type === gl.INT) gl.uniform1i(place, values[uniform]);
      else gl.uniform1f(place, values[uniform]);
    }
    gl.drawArrays(gl.TRIANGLES, 0, 3);
  }

  aim(outputs, [width, height] = this.grid) {
    const {gl} = this;
    const name = outputs.join();
    if (name && !this.framebuffers[name]) {
      this.framebuffers[name] = gl.createFramebuffer();
      gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffers[name]);
      const places = outputs.map((output, index) => {
        const place = gl.COLOR_ATTACHMENT0 + index;
        gl.framebufferTexture2D(gl.FRAMEBUFFER, place, gl.TEXTURE_2D, this.textures[output], 0);
        return place;
      });
      gl.drawBuffers(places);
    }
    gl.bindFramebuffer(gl.FRAMEBUFFER, this.framebuffers[name] ?? null);
    gl.viewport(0, 0, width, height);
  }
}
