// Numbers in words that people read.

const whole = new Intl.NumberFormat("en");

export const number = (n) => whole.format(n);

export const count = (n, one, many = `${one}s`) => `${number(n)} ${n === 1 ? one : many}`;

export function milliseconds(ms) {
  if (ms >= 1000) return `${(ms / 1000).toFixed(ms >= 10000 ? 0 : 1)} s`;
  return `${ms >= 10 ? ms.toFixed(0) : ms.toFixed(1)} ms`;
}

// percent of a log probability.
export function percent(logProbability) {
  const p = 100 * Math.exp(logProbability);
  if (p > 0 && p < 0.1) return "< 0.1 %";
  return `${p >= 10 ? p.toFixed(0) : p.toFixed(1)} %`;
}

// ref is an id as people may see it: a number of the run's tables, or the source's id in quotes.
export const ref = (id) => (typeof id === "number" ? `${id}` : `“${id}”`);
