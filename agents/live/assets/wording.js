// How numbers and times are written.

const NUMBERS = new Intl.NumberFormat("en");

export const count = (number) => NUMBERS.format(number);

// A cost, with at most four digits that count.
export const amount = (cost) => cost.toLocaleString("en", { maximumSignificantDigits: cost < 1e4 ? 4 : 9 });

export function seconds(ms) {
  const s = Math.max(ms, 0) / 1000;
  if (s < 1) return `${s.toFixed(2)} s`;
  if (s < 10) return `${s.toFixed(1)} s`;
  if (s < 90) return `${Math.round(s)} s`;
  const minutes = Math.floor(s / 60);
  if (minutes < 90) return `${minutes} min ${Math.round(s % 60)} s`;
  return `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

export function rate(perSecond) {
  if (perSecond === null) return "–";
  if (perSecond >= 100) return count(Math.round(perSecond));
  return perSecond.toFixed(perSecond >= 10 ? 0 : 1);
}

export function share(part, whole) {
  if (!whole) return "–";
  const percent = (100 * part) / whole;
  // Nothing but all of it is 100 %.
  return `${part === whole ? 100 : Math.min(percent, 99.9).toFixed(percent > 0 && percent < 99.95 ? 1 : 0)} %`;
}
