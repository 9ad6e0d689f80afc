import { expect, test } from 'vitest'
import { everythingBut, latin1Decode, percentDecode } from '../../src/core/percent-decoding.ts'
import { anyText } from '../support/any-text.ts'
import { holds } from '../support/holds.ts'
import { words } from '../support/words.ts'

const ALL = everythingBut('')

test.for(
  words`
    /a%2Fb%5c=>/a/b\\ %C3%A9%e4%b8%80%F0%9F%A6%8A=>é一🦊 %%32%66=>%2f %zz%4%=>%zz%4% %80%41=>%80A
    %c0%af%c1%bf=>%c0%af%c1%bf %e0%80%af%e0%9f%bf%e0%a0%80=>%e0%80%af%e0%9f%bf\u0800
    %ed%9f%bf%ed%a0%80=>\ud7ff%ed%a0%80 %f0%8f%bf%bf%f4%8f%bf%bf=>%f0%8f%bf%bf\udbff\udfff
    %f4%90%80%80%f5%80%80%80=>%f4%90%80%80%f5%80%80%80 %c3%c3%a9%e4%b8=>%c3é%e4%b8 %u0041=>%u0041
  `.map((pair) => pair.split('=>')),
)('%s is %s', ([text = '', decoded]) => expect(percentDecode(text, ALL)).toBe(decoded))

test('UTF-16 escapes are taken where they are asked for, and characters left where they are not', () => {
  expect(percentDecode('%u0041%U00e9%u00%41', ALL, true)).toBe('Aé%u00A')
  expect(percentDecode('%2f%41%C3%A9', everythingBut('/A'))).toBe('%2f%41é')
})

test('bytes that are no UTF-8 are Latin-1 letters', () =>
  expect([latin1Decode('%80%e9%41%zz'), latin1Decode('/a')]).toEqual(['\u0080é%41%zz', '/a']))

test('what is well formed is decoded as the platform does it', () =>
  holds(100, [anyText.map((text) => text.toWellFormed())], (text) =>
    expect(percentDecode(encodeURIComponent(text), ALL)).toBe(text),
  ))
