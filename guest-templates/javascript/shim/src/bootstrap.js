// Makes the globals that a function finds beside the language. Runs once, when the guest starts.
(function (natives, module) {
  "use strict";
  const { write, indent, addTimer, removeTimer, classOf, encodeText, decodeText } = natives;
  const STDOUT = 1, STDERR = 2;

  const define = (target, members) => {
    for (const name of Reflect.ownKeys(members)) {
      const descriptor = Object.getOwnPropertyDescriptor(members, name);
      Object.defineProperty(target, name, { ...descriptor, enumerable: false });
    }
  };

  const counts = new Map(), timings = new Map();
  const console = {
    log(...values) { write(STDOUT, ...values); },
    info(...values) { write(STDOUT, ...values); },
    debug(...values) { write(STDOUT, ...values); },
    dir(value) { write(STDOUT, value); },
    table(value) { write(STDOUT, value); },
    warn(...values) { write(STDERR, ...values); },
    error(...values) { write(STDERR, ...values); },
    trace(...values) { write(STDERR, "Trace:", ...values); },
    assert(holds, ...values) { if (!holds) write(STDERR, "Assertion failed", ...values); },
    group(...values) { if (values.length > 0) write(STDOUT, ...values); indent(2); },
    groupEnd() { indent(-2); },
    count(label = "default") {
      counts.set(label, (counts.get(label) ?? 0) + 1);
      write(STDOUT, `${label}: ${counts.get(label)}`);
    },
    countReset(label = "default") { counts.delete(label); },
    time(label = "default") { timings.set(label, natives.now()); },
    timeLog(label = "default", ...values) {
      if (timings.has(label)) write(STDOUT, `${label}: ${natives.now() - timings.get(label)}ms`, ...values);
    },
    timeEnd(label = "default") { console.timeLog(label); timings.delete(label); },
  };
  console.groupCollapsed = console.group;

  const bytesOf = (source) => {
    if (source === undefined) return new Uint8Array(0);
    if (ArrayBuffer.isView(source)) return new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
    return new Uint8Array(source);
  };

  class TextEncoder {
    get encoding() { return "utf-8"; }
    encode(text = "") { return encodeText(String(text)); }
    encodeInto(text, target) {
      let read = 0, written = 0;
      for (const character of String(text)) {
        const bytes = encodeText(character);
        if (written + bytes.length > target.length) break;
        target.set(bytes, written);
        read += character.length;
        written += bytes.length;
      }
      return { read, written };
    }
  }

  class TextDecoder {
    #fatal;
    #ignoreBOM;
    constructor(label = "utf-8", { fatal = false, ignoreBOM = false } = {}) {
      if (!["utf-8", "utf8", "unicode-1-1-utf-8"].includes(String(label).trim().toLowerCase())) {
        throw new RangeError(`the encoding \`${label}\` is not available: only utf-8 is`);
      }
      this.#fatal = Boolean(fatal);
      this.#ignoreBOM = Boolean(ignoreBOM);
    }
    get encoding() { return "utf-8"; }
    get fatal() { return this.#fatal; }
    get ignoreBOM() { return this.#ignoreBOM; }
    decode(source) {
      let text;
      try {
        text = decodeText(bytesOf(source), this.#fatal);
      } catch (error) {
        throw Object.assign(new TypeError(error.message), { code: error.code });
      }
      return !this.#ignoreBOM && text.startsWith("\ufeff") ? text.slice(1) : text;
    }
  }

  const structuredClone = (value) => {
    const clones = new Map();
    const refuse = (what) => {
      throw new DOMException(`${what} could not be cloned`, "DataCloneError");
    };
    const properties = (source, target) => {
      for (const key of Object.keys(source)) {
        Object.defineProperty(target, key, {
          value: clone(source[key]), writable: true, enumerable: true, configurable: true,
        });
      }
      return target;
    };
    const clone = (source) => {
      if (typeof source === "symbol") refuse(String(source));
      if (typeof source === "function") refuse(`the function ${source.name}`);
      if (typeof source !== "object" || source === null) return source;
      if (clones.has(source)) return clones.get(source);
      const kept = (copy) => {
        clones.set(source, copy);
        return copy;
      };
      switch (classOf(source)) {
        case "Array": {
          const copy = kept(new Array(source.length));
          return properties(source, copy);
        }
        case "Object": return properties(source, kept({}));
        case "Date": return kept(new Date(source.getTime()));
        case "RegExp": return kept(new RegExp(source.source, source.flags));
        case "Map": {
          const copy = kept(new Map());
          for (const [key, item] of [...source]) copy.set(clone(key), clone(item));
          return copy;
        }
        case "Set": {
          const copy = kept(new Set());
          for (const item of [...source]) copy.add(clone(item));
          return copy;
        }
        case "ArrayBuffer": return kept(source.slice(0));
        case "TypedArray": return kept(new source.constructor(source));
        case "Error": {
          const kinds = { EvalError, RangeError, ReferenceError, SyntaxError, TypeError, URIError };
          const copy = kept(new (kinds[source.name] ?? Error)(source.message));
          if (Object.hasOwn(source, "cause")) copy.cause = clone(source.cause);
          return copy;
        }
        default: return refuse(`a value of this kind`);
      }
    };
    return clone(value);
  };

  const timer = (repeats) => (callback, delay, ...values) => addTimer(callback, Number(delay), repeats, ...values);
  const clearTimer = (id) => removeTimer(Number(id));

  const refusedClass = (name) => ({
    [name]: class {
      constructor() { natives.refuseNetwork(`\`${name}\``); }
    },
  })[name];

  const hex = (byte) => byte.toString(16).padStart(2, "0");
  const crypto = {
    getRandomValues(target) {
      const bytes = bytesOf(target);
      if (bytes.length > 65536) throw new DOMException("more than 65536 bytes were asked for", "QuotaExceededError");
      bytes.set(natives.randomBytes(bytes.length));
      return target;
    },
    randomUUID() {
      const bytes = natives.randomBytes(16);
      bytes[6] = (bytes[6] & 0x0f) | 0x40;
      bytes[8] = (bytes[8] & 0x3f) | 0x80;
      const digits = Array.from(bytes, hex).join("");
      return [[0, 8], [8, 12], [12, 16], [16, 20], [20]].map((range) => digits.slice(...range)).join("-");
    },
  };

  const greensand = {
    call(name, ...values) { return natives.call(name, ...values); },
    callNamed(name, values = {}) { return natives.callNamed(name, values); },
    readFile(name) { return natives.readFile(name); },
    readText(name) { return decodeText(natives.readFile(name), false); },
    files() { return natives.fileNames(); },
  };
  Object.freeze(greensand);

  // Grouped digits, as `toLocaleString` gives them in American English; the engine has no other locale.
  const grouped = (number, { minimumFractionDigits: least = 0, maximumFractionDigits: most } = {}) => {
    if (!Number.isFinite(number)) return Number.isNaN(number) ? "NaN" : number < 0 ? "-∞" : "∞";
    most ??= Math.max(least, 3);
    if (Math.abs(number) >= 1e21) return String(number);
    let [whole, fraction = ""] = Math.abs(number).toFixed(Math.min(most, 100)).split(".");
    while (fraction.length > least && fraction.endsWith("0")) fraction = fraction.slice(0, -1);
    whole = whole.replace(/\B(?=(\d{3})+$)/g, ",");
    const sign = number < 0 && /[1-9]/.test(whole + fraction) ? "-" : "";
    return sign + whole + (fraction === "" ? "" : `.${fraction}`);
  };
  const currencies = { USD: "$", EUR: "€", GBP: "£", JPY: "¥", INR: "₹" };
  define(Number.prototype, {
    toLocaleString(locale, options = {}) {
      const number = Number(this);
      if (options.style === "percent") {
        return `${grouped(number * 100, { maximumFractionDigits: options.minimumFractionDigits ?? 0, ...options })}%`;
      }
      if (options.style === "currency") {
        const text = grouped(Math.abs(number), { minimumFractionDigits: 2, maximumFractionDigits: 2, ...options });
        return `${number < 0 ? "-" : ""}${currencies[options.currency] ?? `${options.currency}\u00a0`}${text}`;
      }
      return grouped(number, options);
    },
  });

  const require = (name) => natives.refuseModule(String(name));

  define(Math, { random() { return natives.random(); } });
  define(globalThis, {
    console,
    crypto,
    greensand,
    performance: {
      now() { return natives.now(); },
      get timeOrigin() { return Date.now() - natives.now(); },
    },
    module,
    exports: module.exports,
    global: globalThis,
    self: globalThis,
    structuredClone,
    TextEncoder,
    TextDecoder,
    setTimeout: timer(false),
    setInterval: timer(true),
    setImmediate: (callback, ...values) => addTimer(callback, 0, false, ...values),
    clearTimeout: clearTimer,
    clearInterval: clearTimer,
    clearImmediate: clearTimer,
    require,
    async fetch() { return natives.refuseNetwork("`fetch`"); },
    XMLHttpRequest: refusedClass("XMLHttpRequest"),
    WebSocket: refusedClass("WebSocket"),
  });
  return require;
});
