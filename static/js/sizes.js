// Amounts of bytes as people read them.

export function size(bytes) {
  if (bytes < 1e6) return `${Math.ceil(bytes / 1e3)} kB`;
  return bytes < 1e9 ? `${(bytes / 1e6).toFixed(1)} MB` : `${(bytes / 1e9).toFixed(2)} GB`;
}

// A limit as its owner means it: a whole number of the larger megabytes, where it is one.
export function limitOf(bytes) {
  return bytes % 2 ** 20 ? megabytes(bytes) : String(bytes / 2 ** 20);
}

export function megabytes(bytes) {
  return (bytes / 1e6).toPrecision(3).replace(/\.?0+$/, '');
}
