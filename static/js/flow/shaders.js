// The shaders of the moving picture. What is computed on the grid is kept in textures of four numbers a cell:
//
// motion  velocity in cells a loop (x, y), how much of the cell moves, noise
// edge    the guided filter's factors of red, green and blue, and its constant
// low     the colours without detail, and how far a mark reaches
// ends    where a cell comes from a loop before (x, y) and where it is a loop later (x, y), from the cell itself
// sums    the terms of a correlation between the detail where the two copies meet
// paths   as ends, for the two copies of the photo at one moment
// blend   the copies' colours without detail, and how much detail is to be restored
// weight  how much of the second copy is seen

const HEAD = `#version 300 es
precision highp float;
precision highp sampler2D;
uniform vec2 grid;
uniform sampler2D motion, edge, low, guide, ends, sums, paths, blend, weight, still, photo;
// what leaves the photo is seen as in a mirror at its border, in parts of it
vec2 fold(vec2 cell) {
  vec2 inside = mix(cell, -cell, lessThan(cell, vec2(0)));
  return clamp(mix(inside, 2. * grid - inside, greaterThan(inside, grid)), vec2(0), grid) / grid;
}

vec2 velocity(vec2 cell) {
  return texture(motion, cell / grid).xy;
}

// Along the field for a part of the loop, by midpoint steps.
vec2 follow(vec2 cell, float part, float direction, int steps) {
  float count = float(steps);
  vec2 place = cell;
  if (velocity(cell) == vec2(0)) return cell;
  for (int i = 0; i < 65; i += 1) {
    float rest = min(1., part * count - float(i));
    if (rest <= 0.) break;
    vec2 halfway = velocity(place) * (direction * .5 / count);
    place += velocity(place + halfway) * (direction / count) * rest;
  }
  return place;
}

float detail(vec2 part) {
  return dot(texture(guide, part).rgb - texture(low, part).rgb, vec3(1. / 3.));
}
`;

export const VERTICES = `#version 300 es
const vec2 CORNERS[3] = vec2[3](vec2(-1, -1), vec2(3, -1), vec2(-1, 3));
void main() {
  gl_Position = vec4(CORNERS[gl_VertexID], 0, 1);
}`;

// A whole loop from each cell.
export const ENDS = `${HEAD}
uniform int steps;
out vec4 result;
void main() {
  vec2 cell = gl_FragCoord.xy;
  result = vec4(follow(cell, 1., -1., steps) - cell, follow(cell, 1., 1., steps) - cell);
}`;

// How alike the detail is where the two copies meet: the terms of a correlation.
export const TERMS = `${HEAD}
out vec4 result;
void main() {
  vec2 cell = gl_FragCoord.xy;
  float here = detail(cell / grid);
  float later = detail(fold(cell + texture(ends, cell / grid).zw));
  result = texture(motion, cell / grid).z * vec4(here * later, here * here, later * later, 0);
}`;

// Sums over a line of cells, and over those lines.
export const SUMS = `${HEAD}
uniform vec2 direction;
out vec4 result;
void main() {
  result = vec4(0);
  for (float i = -8.; i <= 8.; i += 1.) {
    vec2 cell = gl_FragCoord.xy + i * direction;
    if (all(greaterThan(cell, vec2(0))) && all(lessThan(cell, grid))) result += texture(sums, cell / grid);
  }
}`;

// The two copies at one moment of the loop.
export const MOMENT = `${HEAD}
uniform int steps;
uniform float time;
layout(location = 0) out vec4 path;
layout(location = 1) out vec4 mixed;
layout(location = 2) out vec4 second;
void main() {
  vec2 cell = gl_FragCoord.xy;
  vec2 back = follow(cell, time, -1., steps), forth = follow(cell, 1. - time, 1., steps);
  path = vec4(back - cell, forth - cell);
  vec4 whole = texture(ends, cell / grid);
  float before = distance(cell, clamp(cell + whole.xy, vec2(0), grid));
  float after = distance(cell, clamp(cell + whole.zw, vec2(0), grid));
  float noise = 2. * texture(motion, cell / grid).w - 1.;
  float middle = .5 + .12 * noise + .18 * (before - after) / (before + after + 1e-6);
  float w = smoothstep(0., 1., (time - middle) / .4 + .5);
  vec3 sum = texture(sums, cell / grid).xyz;
  float root = sqrt(sum.y * sum.z);
  float alike = root < 1e-9 ? 0. : clamp(sum.x / root, 0., 1.);
  float gain = inversesqrt((1. - w) * (1. - w) + w * w + 2. * w * (1. - w) * alike);
  mixed = vec4(mix(texture(low, fold(back)).rgb, texture(low, fold(forth)).rgb, w), gain);
  second = vec4(w);
}`;

// The photo sharpened, so that sampled between its pixels it is as sharp as it was.
export const SHARPEN = `${HEAD}
uniform vec2 size;
out vec4 result;
void main() {
  vec3 sum = vec3(0);
  for (int y = -1; y <= 1; y += 1) for (int x = -1; x <= 1; x += 1) {
    float factor = (x == 0 ? 1.2 : -.1) * (y == 0 ? 1.2 : -.1);
    sum += factor * texture(photo, (gl_FragCoord.xy + vec2(x, y)) / size).rgb;
  }
  result = vec4(sum, 1);
}`;

// The frame, clear where nothing moves: there the photo itself is seen.
export const FRAME = `${HEAD}
uniform vec2 size;
uniform float time;
out vec4 result;
void main() {
  // rows of pictures go down, those of the canvas up
  vec2 part = vec2(gl_FragCoord.x, size.y - gl_FragCoord.y) / size;
  float reach = texture(low, part).a;
  result = vec4(0);
  if (time <= 0. || reach <= 0.) return;
  vec4 factors = texture(edge, part);
  float where = dot(factors, vec4(texture(still, part).rgb, 1));
  float alpha = smoothstep(0., 1., (where - .5) / .45) * reach;
  vec4 path = texture(paths, part), mixed = texture(blend, part);
  vec3 first = texture(photo, fold(part * grid + path.xy)).rgb;
  vec3 second = texture(photo, fold(part * grid + path.zw)).rgb;
  vec3 both = mix(first, second, texture(weight, part).r);
  vec3 colour = clamp(mixed.rgb + mixed.a * (both - mixed.rgb), 0., 1.);
  result = vec4(colour * alpha, alpha);
}`;
