/** Items that one round takes at most. */
const itemsMax = 100;

/**
 * Lets callers who each ask for one thing share the trips that it takes: whoever asks while nothing is under way is served
 * at once, and those who ask meanwhile go together with the next round. Every round begins after all of its items were
 * asked for, so that nobody gets an answer that is older than their question.
 *
 * @param work does many items at once and answers in their order. When it fails, all items of its round fail with it.
 * @param isOfOneItem whether a round failed for one of its items, and surely did nothing: then each of them is tried alone.
 */
export function inRounds<T, R>(
  work: (items: readonly T[]) => Promise<readonly R[]>,
  isOfOneItem: (error: unknown) => boolean = () => false,
): (item: T) => Promise<R> {
  type Asked = { item: T; resolve: (result: R) => void; reject: (error: unknown) => void };
  const waiting: Asked[] = [];
  let isUnderWay = false;

  const serve = async (round: readonly Asked[]): Promise<void> => {
    try {
      const results = await work(round.map(({ item }) => item));
      if (results.length !== round.length) throw new Error("A round answered for another number of items");
      for (const [index, { resolve }] of round.entries()) resolve(results[index] as R);
    } catch (error) {
      if (round.length > 1 && isOfOneItem(error)) for (const one of round) await serve([one]);
      else for (const { reject } of round) reject(error);
    }
  };
  const run = async () => {
    while (waiting.length > 0) await serve(waiting.splice(0, itemsMax));
    // In the same breath as the last look at what waits: nobody can begin to wait in between.
    isUnderWay = false;
  };

  return (item) => {
    const { promise, resolve, reject } = Promise.withResolvers<R>();
    waiting.push({ item, resolve, reject });
    if (!isUnderWay) {
      isUnderWay = true;
      // Whoever asks in the same moment comes along.
      queueMicrotask(() => void run());
    }
    return promise;
  };
}
