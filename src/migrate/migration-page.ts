import type { Installation, Note, NoteKind } from './installation.ts'

const TITLES: Readonly<Record<NoteKind, string>> = {
  todo: 'To do before the start',
  provider: 'To do at the provider',
  stricter: 'Stricter than before',
  differs: 'Different from before',
  dropped: 'Not carried over',
  carried: 'Carried over',
}

/** Returns the page that says what has become of each option; no secret is in it. */
export function migrationPage({ notes }: Installation): string {
  const kinds = Object.keys(TITLES) as NoteKind[]
  const sections = kinds.flatMap((kind) => {
    const members = notes.filter((note) => note.kind === kind)
    return members.length === 0 ? [] : [`## ${TITLES[kind]}\n\n${members.map(line).join('\n')}\n`]
  })
  return `# Migration to Vestibule\n\n${sections.join('\n')}`
}

function line({ option, text }: Note): string {
  return `* \`${option}\`: ${text}`
}
