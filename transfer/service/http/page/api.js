/**
 * Requests to the service this page came from, with the token of who looks.
 *
 * Every failure is an ApiError with a sentence that can be shown: the `detail` of the problem document
 * (RFC 9457) where the service gave one. `status` is 0 where nothing answered.
 */

const BASE = new URL("v1/", document.baseURI);
const ANSWER_TIMEOUT_MS = 30_000;
const MAX_DETAIL = 2_000;

export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

export class Api {
  /** Called with the error of every answer 401: the token is not good, or not any more. */
  refused = () => {};

  #token;

  constructor(token) {
    this.#token = token;
  }

  whoami() {
    return this.#json("whoami");
  }

  devices() {
    return this.#json("devices");
  }

  /** A page of jobs, newest first. */
  jobs(before, limit) {
    return this.#json(`jobs?${query({ before, limit })}`);
  }

  /** A page of the entries of a job that are not in the bucket. */
  failures(jobId, after, limit) {
    return this.#json(`jobs/${encodeURIComponent(jobId)}/failures?${query({ after, limit })}`);
  }

  /** Ask something of a job; gives its new view. */
  act(jobId, action) {
    return this.#json(`jobs/${encodeURIComponent(jobId)}/${encodeURIComponent(action)}`, { method: "POST" });
  }

  /** A file of a job's report. */
  async reportFile(jobId, name) {
    const place = `jobs/${encodeURIComponent(jobId)}/report${name === "report.json" ? "" : `/${name}`}`;
    return (await this.#request(place)).blob();
  }

  /** The open stream of events. */
  async events(signal) {
    return this.#request("events", { signal, headers: { Accept: "text/event-stream" } });
  }

  async #json(place, options) {
    const response = await this.#request(place, { signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS), ...options });
    try {
      return await response.json();
    } catch {
      throw new ApiError(0, "The answer of the service broke off.");
    }
  }

  async #request(place, { headers = {}, ...options } = {}) {
    const response = await this.#fetch(new URL(place, BASE), {
      ...options,
      headers: { Authorization: `Bearer ${this.#token}`, ...headers },
    });
    if (response.ok) return response;
    const error = new ApiError(response.status, await detail(response));
    if (response.status === 401) this.refused(error);
    throw error;
  }

  async #fetch(url, options) {
    try {
      return await fetch(url, { cache: "no-store", credentials: "omit", redirect: "error", ...options });
    } catch (error) {
      if (options.signal?.aborted && error.name === "AbortError") throw error;
      throw new ApiError(0, "The service does not answer.");
    }
  }
}

async function detail(response) {
  let problem = null;
  if (response.headers.get("Content-Type")?.startsWith("application/problem+json")) {
    problem = await response.json().catch(() => null);
  }
  const text = problem?.detail || problem?.title || `The service answered ${response.status}.`;
  return String(text).slice(0, MAX_DETAIL);
}

function query(parameters) {
  const given = Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined);
  return new URLSearchParams(given).toString();
}
