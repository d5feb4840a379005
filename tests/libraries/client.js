// A client class over k6/http, as libraries for sessions have it: defaults, transforms, verbs made in a loop, batches.
import { group } from "k6";
import http from "k6/http";
import { Trend } from "k6/metrics";

const VERBS = ["get", "post", "put", "patch", "delete", "options", "head"];
const waiting = new Trend("client_waiting", true);

class Prepared {
  constructor(method, path, body = null, params = {}) {
    Object.assign(this, { method, path, body, params });
  }
}

export const Get = (...rest) => new Prepared("GET", ...rest);
export const Post = (...rest) => new Prepared("POST", ...rest);

export class Session {
  static #made = 0;
  static defaults;
  static {
    this.defaults = Object.freeze({ timeout: 20000, headers: {} });
  }
  #transforms = new Set();
  baseURL = "";
  headers;
  tags = {};

  constructor({ baseURL, headers = {}, ...rest } = {}) {
    this.baseURL = baseURL ?? this.baseURL;
    this.headers = { ...Session.defaults.headers, ...headers };
    this.params = { ...Session.defaults, ...rest };
    this.jar = new http.CookieJar();
    Session.#made++;
  }

  static get made() {
    return Session.#made;
  }

  get [Symbol.toStringTag]() {
    return "Session";
  }

  addHeader(name, value) {
    this.headers[name] = `${value}`;
    return this;
  }

  clearHeader(name) {
    delete this.headers[name];
    return this;
  }

  onResponse(transform) {
    this.#transforms.add(transform);
    return this;
  }

  #merged(params = {}) {
    const { headers, tags, ...rest } = params;
    return {
      jar: this.jar,
      ...this.params,
      ...rest,
      headers: { ...this.headers, ...headers },
      tags: { ...this.tags, ...tags },
    };
  }

  #done(response) {
    waiting.add(response.timings.waiting);
    return [...this.#transforms].reduce((value, transform) => transform(value) ?? value, response);
  }

  request(method, path, body, params) {
    const url = /^https?:/.test(path) ? path : this.baseURL + path;
    return this.#done(http.request(method.toUpperCase(), url, body, this.#merged(params)));
  }

  async asyncRequest(method, path, body, params) {
    return this.#done(await http.asyncRequest(method.toUpperCase(), this.baseURL + path, body, this.#merged(params)));
  }

  batch(requests, params) {
    const made = requests.map(({ method, path, body, params: own }) => ({
      method,
      url: this.baseURL + path,
      body,
      params: this.#merged({ ...params, ...own }),
    }));
    return group("batch", () => http.batch(made)).map((response) => this.#done(response));
  }
}

for (const verb of VERBS) {
  const withoutBody = ["get", "head", "options"].includes(verb);
  Object.defineProperty(Session.prototype, verb, {
    enumerable: false,
    value: withoutBody
      ? function (path, params) {
          return this.request(verb, path, null, params);
        }
      : function (path, body, params) {
          return this.request(verb, path, body, params);
        },
  });
}

export default Session;
