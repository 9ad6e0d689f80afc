import { readdirSync, readFileSync } from 'node:fs'

export const PAGES: readonly string[] = [
  'README.md',
  ...readdirSync('docs')
    .filter((name) => name.endsWith('.md'))
    .map((name) => `docs/${name}`),
]

/** Fenced block of a page. */
export interface Block {
  readonly page: string
  readonly line: number
  readonly language: string
  readonly text: string
  /** Name in a comment on the first line: the block is what such a file holds. */
  readonly file: string | undefined
}

export const read = (page: string): string => readFileSync(page, 'utf8')

/** Returns the blocks of a page, those in lists without their indentation. */
export function blocksOf(page: string): readonly Block[] {
  return [...read(page).matchAll(/^( *)```(\S*)\n(.*?)^ *```$/gms)].map((found) => {
    const [, indent = '', language = '', body = ''] = found
    const text = body.replaceAll(new RegExp(`^${indent}`, 'gm'), '')
    const [, file] = /^# ([\w./-]+\.\w+)(?:$|[:, ])/m.exec(text.split('\n')[0] ?? '') ?? []
    const line = found.input.slice(0, found.index).split('\n').length
    return { page, line, language, text, file }
  })
}
