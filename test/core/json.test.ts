import { expect, test } from 'vitest'
import { parseJson } from '../../src/core/json.ts'
import { words } from '../support/words.ts'

test('JSON is parsed to its value', () =>
  expect(words`{"a":[1]} null "x" 1`.map(parseJson)).toEqual([{ a: [1] }, null, 'x', 1]))

test.for(['', ...words`{ {"a":1}} undefined NaN 'x' \ufeff1`])('%j is malformed', (text) =>
  expect(parseJson(text)).toBeUndefined(),
)
