/** Simple command of a shell script. */
export interface ShellCommand {
  readonly words: readonly string[]
  /** Assignments before it, or all that the command is. */
  readonly assigned: Readonly<Record<string, string>>
  /** Comment behind it on the same line. */
  readonly comment: string | undefined
  /** Files into which its output goes. */
  readonly written: readonly string[]
}

const HEREDOC = /(<<-?\s*['"]?(\w+)['"]?[^\n]*)\n(?:[^\n]*\n)*?\s*\2(?=\n|$)/g
const TOKEN =
  /\\\n|[ \t]+|(?<comment>#[^\n]*)|(?<end>\n|&&|\|\||[;|&])|(?<redirection>\d?(?:>>|<<-?|[<>])(?:&\d)?)|(?<word>(?:\\.|'[^']*'|"(?:\\.|\$\([^)]*\)|[^"\\])*"|\$\([^)]*\)|[^\s;|&<>'"\\])+)/gy

/** Returns the commands of a script without loops and functions, those in `$(…)` before the one that takes their output. */
export function shellCommands(script: string): readonly ShellCommand[] {
  const lines = script.replaceAll(HEREDOC, '$1')
  const found: ShellCommand[] = []
  let words: string[] = []
  let written: string[] = []
  let target = ''
  const end = (): void => {
    if (words.length > 0) found.push(...inner(words), { ...commandOf(words), written })
    words = []
    written = []
  }
  for (const { groups = {} } of lines.matchAll(TOKEN)) {
    const { comment, word, redirection } = groups
    if (groups['end'] !== undefined) end()
    if (comment !== undefined) noteComment(found, words, comment, end)
    if (word !== undefined && target === '') words.push(word)
    if (word !== undefined && target.includes('>')) written.push(unquoted(word))
    if (word !== undefined) target = ''
    if (redirection !== undefined) target = redirection.includes('&') ? '' : redirection
  }
  end()
  return found
}

function noteComment(
  found: ShellCommand[],
  words: readonly string[],
  comment: string,
  end: () => void,
): void {
  if (words.length === 0) return
  end()
  const last = found.pop()
  if (last) found.push({ ...last, comment: comment.replace(/^#\s*/, '') })
}

const inner = (words: readonly string[]): readonly ShellCommand[] =>
  words.flatMap((word) =>
    [...word.matchAll(/\$\(([^)]*)\)/g)].flatMap(([, script = '']) => shellCommands(script)),
  )

function commandOf(words: readonly string[]): ShellCommand {
  const isAssignment = (word: string): boolean => /^[A-Za-z][A-Za-z0-9_]*=/.test(word)
  const first = words.findIndex((word) => !isAssignment(word))
  const at = first === -1 ? words.length : first
  const pairs = words.slice(0, at).map((word) => unquoted(word).split(/=(.*)/s).slice(0, 2))
  return {
    words: words.slice(at).map(unquoted),
    assigned: Object.fromEntries(pairs) as Record<string, string>,
    comment: undefined,
    written: [],
  }
}

const unquoted = (word: string): string =>
  word.replaceAll(/'([^']*)'|"((?:\\.|[^"\\])*)"|\\(.)/gs, (_, single, double, escaped) =>
    String(single ?? (double as string | undefined)?.replaceAll(/\\(.)/gs, '$1') ?? escaped),
  )
