/** Claims that a provider might send and no header may carry as they are. */
export const CONTROLS: readonly string[] = [
  ...Array.from({ length: 0x20 }, (_, code) => code),
  ...Array.from({ length: 0x21 }, (_, index) => 0x7f + index),
  0x2028,
  0x2029,
].map((code) => String.fromCodePoint(code))

const CATEGORIES =
  'Lu Ll Lt Lm Lo Mn Mc Me Nd Nl No Pc Pd Ps Pe Pi Pf Po Sm Sc Sk So Zs Zl Zp Cc Cf Cs Co Cn'

/** A few code points of every general category of Unicode, from the whole of its range. */
export const codePointsOf = (perCategory: number): ReadonlyMap<string, readonly string[]> => {
  const wanted = CATEGORIES.split(' ').map(
    (name) => [name, new RegExp(`^\\p{${name}}$`, 'u'), [] as string[]] as const,
  )
  for (let code = 0; code <= 0x10ffff; code += code < 0x3100 ? 1 : 7) {
    const character = String.fromCodePoint(code)
    const [, , found] = wanted.find(([, pattern]) => pattern.test(character)) ?? []
    found?.push(character)
  }
  return new Map(
    wanted.map(([name, , found]) => {
      const step = Math.max(1, Math.floor(found.length / perCategory))
      return [name, found.filter((_, index) => index % step === 0)]
    }),
  )
}

/**
 * Returns the text that an app may get: without controls, line and paragraph separators, lone surrogates and
 * surrounding blanks.
 */
export const visibleText = (text: string): string => {
  const whole = Array.from(text).map((character) =>
    character.isWellFormed() ? character : '\ufffd',
  )
  return whole
    .filter((character) => !CONTROLS.includes(character))
    .join('')
    .trim()
}
