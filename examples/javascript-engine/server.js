// Serves the tape of tape.js to autograd-conformance, as docs/protocol.md says. Run it by
//   autograd-conformance run --engine 'process:node examples/javascript-engine/server.js'
const readline = require("node:readline");
const tape = require("./tape.js");
const { ARRAYS, Tensor, Unsupported, state } = tape;

console.log = console.info = console.error;  // standard output belongs to the protocol
const ENGINE = {
  name: "javascript-tape", version: "0.1.0", dtypes: Object.keys(ARRAYS), conventions: {},
  operations: Object.keys(tape.OPERATIONS),
  capabilities: ("backward backward.gradient backward.retain_graph backward_many grad set_grad"
    + " requires_grad set_requires_grad is_leaf grad_fn detach no_grad enable_grad"
    + " set_grad_enabled is_grad_enabled accumulates frees_graph").split(" "),
};

const encode = ({ data, shape, dtype }) =>
  ({ dtype, shape, data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64") });
const decode = ({ dtype, shape, data }, requiresGrad) => {
  const bytes = new Uint8Array(Buffer.from(data, "base64"));  // a copy, aligned
  return new Tensor(new ARRAYS[dtype](bytes.buffer), shape, dtype, requiresGrad);
};

const FLOATS = { inf: Infinity, "-inf": -Infinity, nan: NaN };
class BlockLeft extends Error {}

// One run of a program: the tensors that its names are bound to, and what happened so far.
class Run {
  constructor() { this.names = new Map(); this.events = []; }

  // A parameter: a number, a list, a tensor by its name.
  value(param) {
    if (Array.isArray(param)) return param.map((item) => this.value(item));
    if (param?.complex) throw new Unsupported("complex numbers");
    return param?.ref ? this.names.get(param.ref) : param?.float ? FLOATS[param.float] : param;
  }

  // A tensor that is named, or given by nested lists of numbers, in the dtype of `other`.
  like(param, other) {
    const value = this.value(param ?? null);
    if (value === null || value instanceof Tensor) return value;
    const shape = [];
    for (let part = value; Array.isArray(part); part = part[0]) shape.push(part.length);
    return new Tensor(new ARRAYS[other.dtype]([value].flat(Infinity)), shape, other.dtype);
  }

  skip(step) {
    this.events.push({ skipped: true });
    (step.body ?? []).forEach((inner) => this.skip(inner));
  }

  step(step) {
    const bound = (n) => this.names.get(n) || (step.verb === "value" && this.names.has(n));
    if (!(step.reads ?? []).every(bound)) return this.skip(step);
    const number = this.events.push({}) - 1;  // before those of the step's body
    if (step.verb === "raise") throw new BlockLeft();
    try {
      if (step.unsupported) throw new Unsupported(step.unsupported);
      const value = this.run(step, step.params ?? {}, (step.args ?? []).map((n) => this.names.get(n)));
      if (value !== undefined) this.events[number] = { value };
      if (step.compare) this.events[number].expected = encode(this.names.get(step.compare));
    } catch (error) {
      const category = error instanceof Unsupported ? "unsupported" : "refused";
      this.events[number] = { refusal: { category, type: error.constructor.name, message: error.message } };
      if (step.body && this.events.length === number + 1) step.body.forEach((inner) => this.skip(inner));
    }
  }

  block(step, enabled) {
    const before = state.enabled;
    state.enabled = enabled;
    try { step.body.forEach((inner) => this.step(inner)); } catch (error) {
      if (!(error instanceof BlockLeft)) throw error;
    } finally { state.enabled = before; }
  }

  run(step, params, [x, ...rest]) {
    const bind = (tensor) => { this.names.set(step.out[0], tensor); };
    switch (step.verb) {
      case "leaf": return bind(decode(step.array, params.requires_grad ?? false));
      case "reload": return bind(new Tensor(x.data.slice(), x.shape, x.dtype, params.requires_grad ?? false));
      case "apply": {
        const given = Object.entries(params).map(([key, value]) => [key, this.value(value)]);
        return bind(tape.apply(step.op, x ? [x, ...rest] : [], Object.fromEntries(given)));
      }
      case "detach": return bind(new Tensor(x.data, x.shape, x.dtype));
      case "requires_grad_": return tape.setRequiresGrad(x, params.flag ?? true);
      case "backward": {
        const roots = [x, ...rest], given = params.gradient ?? null;
        const gradients = roots.map((root, i) => this.like(given && rest.length ? given[i] : given, root));
        return tape.backward(roots, gradients, params.retain_graph ?? false);
      }
      case "grad":
        if (step.out) bind(x.grad);
        return x.grad && encode(x.grad);
      case "set_grad": return tape.setGrad(x, this.like(params.value, x));
      case "value": return x && encode(x);
      case "requires_grad": return x.requiresGrad;
      case "is_leaf": return x.isLeaf;
      case "grad_fn": return x.source && `${x.source.name[0].toUpperCase()}${x.source.name.slice(1)}Backward0`;
      case "is_grad_enabled": return state.enabled;
      case "no_grad": return this.block(step, false);
      case "enable_grad": return this.block(step, true);
      case "set_grad_enabled": return this.block(step, params.enabled);
      default: throw new Unsupported(step.verb);
    }
  }
}

function answer({ id, request, protocol, steps }) {
  if (request === "hello" && protocol !== 1) return { id, error: `version 1, not ${protocol}` };
  if (request === "hello") return { id, protocol: 1, limit: 2 ** 26, engine: ENGINE };
  state.enabled = true;
  const run = new Run();
  steps.forEach((step) => run.step(step));
  return { id, events: run.events };
}

readline.createInterface({ input: process.stdin }).on("line", (line) => {
  let reply;
  try { reply = answer(JSON.parse(line)); } catch (error) { reply = { id: null, error: String(error) }; }
  process.stdout.write(JSON.stringify(reply) + "\n");
});
