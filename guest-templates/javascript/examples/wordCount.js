/**
 * Counts the words of a text, in the order in which they first appear.
 */
export function wordCount(text, { minimum = 1 } = {}) {
  const counts = new Map();
  for (const word of text.toLowerCase().split(/[^\p{L}\p{N}']+/u)) {
    if (word) counts.set(word, (counts.get(word) ?? 0) + 1);
  }
  return Object.fromEntries([...counts].filter(([, count]) => count >= minimum));
}
