/**
 * Numbers in an explanation as people read them. Pure.
 */

/** `1 task`, `8 tasks`, `1,234 rows`. */
export function countText(number: number, noun: string): string {
  return `${digitsText(number)} ${noun}${number === 1 ? "" : "s"}`;
}

/** `1234567` → `1,234,567`. */
export function digitsText(number: number): string {
  return number.toString().replace(/\B(?=(\d{3})+$)/g, ",");
}

/** Bytes in powers of 1024: `3221225472` → `3.0 GiB`. */
export function bytesText(bytes: number): string {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < units.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`;
}
