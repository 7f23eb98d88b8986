// Amounts of bytes as people read them.

export function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

export function megabytes(bytes) {
  return (bytes / 1e6).toPrecision(3).replace(/\.?0+$/, '');
}
