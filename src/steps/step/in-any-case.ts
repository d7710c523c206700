/** What must be done whatever has failed before it. */

/** Does `act` whatever comes of what goes before it, for what must not wait: that the guest runs. Throws either's error. */
export async function inAnyCase(before: Promise<void>, act: () => Promise<void>): Promise<void> {
  try {
    await before;
  } finally {
    await act();
  }
}
