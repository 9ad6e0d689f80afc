import { expect, test } from 'vitest'
import { digestOfParts } from '../../src/crypto/digest.ts'

// That no two lists of parts and no two contexts of a seal are taken for each other is tested in test/crypto.
test.for<[string, readonly string[], readonly string[]]>([
  ['a shifted letter', ['a', 'bc'], ['ab', 'c']],
  ['joined parts', ['ab'], ['a', 'b']],
  ['an empty part on the other side', ['', 'a'], ['a', '']],
  ['an empty part more', ['a'], ['a', '']],
  ['a length inside', ['1:a'], ['a']],
  ['a length between', ['a1:b'], ['a', 'b']],
  ['a shifted digit', ['https://id.example.com', '1x'], ['https://id.example.com1', 'x']],
  ['another order', ['a', 'b'], ['b', 'a']],
  ['another composition of a letter', ['ä'], ['a\u0308']],
])('the digest differs: %s', ([, one, other]) =>
  expect(digestOfParts(...one)).not.toBe(digestOfParts(...other)),
)
