/** Values that a condition may have, as far as they are known: unknown is both. */
export interface Truth {
  readonly canBeTrue: boolean
  readonly canBeFalse: boolean
}

export const UNKNOWN: Truth = { canBeTrue: true, canBeFalse: true }

export function known(isTrue: boolean): Truth {
  return { canBeTrue: isTrue, canBeFalse: !isTrue }
}

export function not({ canBeTrue, canBeFalse }: Truth): Truth {
  return { canBeTrue: canBeFalse, canBeFalse: canBeTrue }
}

export function every(truths: readonly Truth[]): Truth {
  return {
    canBeTrue: truths.every(({ canBeTrue }) => canBeTrue),
    canBeFalse: truths.some(({ canBeFalse }) => canBeFalse),
  }
}

export function some(truths: readonly Truth[]): Truth {
  return not(every(truths.map(not)))
}

/** Returns whether no doubt is left. */
export function isCertain({ canBeFalse }: Truth): boolean {
  return !canBeFalse
}
