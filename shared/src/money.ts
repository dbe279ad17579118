const microsPerDollar = 1_000_000;

/** Dollars as people write them, to the integer micro-dollars that are kept. */
export const dollarsToMicros = (dollars: number): number => Math.round(dollars * microsPerDollar);

/** Micro-dollars as a decimal number of dollars, for the API. */
export const microsToDollars = (micros: number): number => micros / microsPerDollar;

/** Micro-dollars as whole cents, rounded down: a limit never grows by rounding. */
export const microsToCents = (micros: number): number => Math.floor(micros / 10_000);
