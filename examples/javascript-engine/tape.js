// A tiny autograd engine: an eager tape over row-major typed arrays, with PyTorch's semantics for
// the little that it has. Nothing in this file knows that it is going to be tested.

class Unsupported extends Error {}
class AutogradError extends Error {}

const state = { enabled: true, made: 0 };
const ARRAYS = { float64: Float64Array, float32: Float32Array };

// `source` is what made a tensor, if that is to be differentiated: the operation's name, its inputs
// and through which of them gradients flow, the function that pulls a gradient back to them, and
// whether it needs saved values, which backward frees.
class Tensor {
  constructor(data, shape, dtype, requiresGrad = false, source = null) {
    Object.assign(this, { data, shape, dtype, requiresGrad, source });
    this.grad = null;
    this.id = state.made++;
  }
  get isLeaf() { return this.source === null; }
}

const count = (shape) => shape.reduce((a, b) => a * b, 1);
const zeros = (shape, dtype) => new ARRAYS[dtype](count(shape));

function made(data, shape, name, inputs, pull, saves) {
  const flows = inputs.map((input) => input.requiresGrad);
  const tracked = state.enabled && flows.includes(true);
  const source = tracked ? { name, inputs, flows, pull, saves } : null;
  return new Tensor(data, shape, inputs[0].dtype, tracked, source);
}

// Elementwise operations: [function, derivatives by operand (g, a, b, y), whether they save].
const ELEMENTWISE = {
  add: [(a, b) => a + b, [(g) => g, (g) => g], false],
  sub: [(a, b) => a - b, [(g) => g, (g) => -g], false],
  mul: [(a, b) => a * b, [(g, a, b) => g * b, (g, a) => g * a], true],
  div: [(a, b) => a / b, [(g, a, b) => g / b, (g, a, b) => (-g * a) / (b * b)], true],
  neg: [(a) => -a, [(g) => -g], false],
  sin: [Math.sin, [(g, a) => g * Math.cos(a)], true],
  exp: [Math.exp, [(g, a, b, y) => g * y], true],
  tanh: [Math.tanh, [(g, a, b, y) => g * (1 - y * y)], true],
  relu: [(a) => (a > 0 ? a : 0), [(g, a, b, y) => (y > 0 ? g : 0)], true],
};

function broadcast(shapes) {
  const rank = Math.max(...shapes.map((shape) => shape.length));
  return Array.from({ length: rank }, (_, axis) => {
    const sizes = shapes.map((shape) => shape[axis - rank + shape.length] ?? 1);
    const size = sizes.find((n) => n !== 1) ?? 1;
    if (sizes.every((n) => n === 1 || n === size)) return size;
    throw new AutogradError(`shapes ${JSON.stringify(shapes)} do not broadcast`);
  });
}

// For every element of `shape`, the place of the element of `from` that is broadcast to it.
function places(from, shape) {
  const found = new Int32Array(count(shape));
  for (let i = 0; i < found.length; i++) {
    for (let axis = shape.length - 1, rest = i, stride = 1; axis >= 0; axis--) {
      const size = from[axis - shape.length + from.length] ?? 1;
      if (size !== 1) found[i] += (rest % shape[axis]) * stride;
      rest = Math.floor(rest / shape[axis]);
      stride *= size;
    }
  }
  return found;
}

function elementwise(name, operands, [f, derivatives, saves]) {
  const tensors = operands.filter((operand) => operand instanceof Tensor);
  const dtype = tensors[0].dtype;
  if (tensors.some((x) => x.dtype !== dtype)) throw new Unsupported("mixed dtypes");
  const shape = broadcast(tensors.map((tensor) => tensor.shape));
  const at = operands.map((x) => (x instanceof Tensor ? places(x.shape, shape) : null));
  const item = (k, i) => (at[k] ? operands[k].data[at[k][i]] : operands[k]);
  const y = zeros(shape, dtype).map((_, i) => f(item(0, i), item(1, i)));
  const pull = (g) => tensors.map((x, k) => {
    const found = zeros(x.shape, dtype);
    y.forEach((v, i) => { found[at[k][i]] += derivatives[k](g[i], item(0, i), item(1, i), v); });
    return found;
  });
  const needed = saves && (tensors.length === operands.length || name === "pow");
  return made(y, shape, name, tensors, pull, needed);
}

function reduce(name, x, { dim = null, keepdim = false }) {
  const axes = dim === null ? x.shape.map((_, i) => i) : [dim].flat();
  const reduced = new Set(axes.map((axis) => (axis < 0 ? axis + x.shape.length : axis)));
  const kept = x.shape.map((size, axis) => (reduced.has(axis) ? 1 : size));
  const at = places(kept, x.shape), sums = new Float64Array(count(kept));
  const share = name === "mean" ? sums.length / x.data.length : 1;
  x.data.forEach((value, i) => { sums[at[i]] += value; });
  const data = new ARRAYS[x.dtype](sums.map((value) => value * share));
  const shape = keepdim ? kept : kept.filter((_, axis) => !reduced.has(axis));
  return made(data, shape, name, [x], (g) => [x.data.map((_, i) => g[at[i]] * share)], false);
}

// Operations by PyTorch's names: tensors first, then the parameters by name.
const OPERATIONS = { sum: reduce, mean: reduce };
for (const [name, rule] of Object.entries(ELEMENTWISE)) {
  OPERATIONS[name] = rule[1].length === 1
    ? (_, x) => elementwise(name, [x], rule)
    : (_, a, b, { other } = b) => elementwise(name, [a, b instanceof Tensor ? b : other], rule);
}
OPERATIONS.pow = (_, x, { exponent: n }) => {
  if (typeof n !== "number") throw new Unsupported("pow with a tensor as exponent");
  const derivative = (g, a) => (n === 0 ? 0 : g * n * a ** (n - 1));
  return elementwise("pow", [x, n], [(a) => a ** n, [derivative], true]);
};
const PARAMETERS = ["sum dim", "sum keepdim", "mean dim", "mean keepdim", "pow exponent",
  "add other", "sub other", "mul other", "div other"];

function apply(name, tensors, params) {
  const unknown = Object.keys(params).filter((key) => !PARAMETERS.includes(`${name} ${key}`));
  if (!(name in OPERATIONS) || unknown.length) throw new Unsupported(`${name}(${unknown})`);
  return OPERATIONS[name](name, ...tensors, params);
}

// The tensors behind `roots` through which gradients flow, the latest made first.
function reached(roots) {
  const found = new Set(), waiting = [...roots];
  while (waiting.length) {
    const tensor = waiting.pop();
    if (!found.has(tensor) && !tensor.isLeaf) waiting.push(...tensor.source.inputs.filter((_, i) => tensor.source.flows[i]));
    found.add(tensor);
  }
  return [...found].sort((a, b) => b.id - a.id);
}

function sameShape(x, gradient) {
  if (`${gradient.shape}` === `${x.shape}`) return gradient;
  throw new AutogradError("the gradient has another shape");
}

function setGrad(x, gradient) {
  if (gradient && gradient.dtype !== x.dtype) throw new AutogradError("the gradient has another dtype");
  x.grad = gradient && sameShape(x, gradient);
}
function setRequiresGrad(x, flag) {
  if (!x.isLeaf && !flag) throw new AutogradError("only the flag of a leaf can be cleared");
  x.requiresGrad = flag;
}

const plus = (a, b) => (a === undefined ? b : a.map((value, i) => value + b[i]));

function seed(root, gradient) {
  if (!root.requiresGrad) throw new AutogradError("the tensor does not require a gradient");
  if (gradient) return new ARRAYS[root.dtype](sameShape(root, gradient).data);
  if (root.data.length !== 1) throw new AutogradError("only a scalar needs no gradient argument");
  return zeros(root.shape, root.dtype).fill(1);
}

// Hands gradients down from the roots; leaves add theirs to `.grad`.
function backward(roots, gradients, retainGraph = false) {
  const pending = new Map();
  roots.forEach((root, i) => pending.set(root, plus(pending.get(root), seed(root, gradients[i]))));
  const order = reached(roots);
  if (order.some((tensor) => tensor.source?.freed)) {
    throw new AutogradError("backward through a graph whose saved values were freed");
  }
  for (const tensor of order) {
    const gradient = pending.get(tensor);
    if (tensor.isLeaf) {
      tensor.grad ??= new Tensor(zeros(tensor.shape, tensor.dtype), tensor.shape, tensor.dtype);
      gradient.forEach((value, i) => { tensor.grad.data[i] += value; });
      continue;
    }
    tensor.source.pull(gradient).forEach((found, i) => {
      const { inputs, flows } = tensor.source;
      if (flows[i]) pending.set(inputs[i], plus(pending.get(inputs[i]), found));
    });
    if (!retainGraph) tensor.source.freed = tensor.source.saves;
  }
}

module.exports = { ARRAYS, AutogradError, OPERATIONS, Tensor, Unsupported, apply, backward,
  setGrad, setRequiresGrad, state };
