import { join } from 'node:path'
import type { SettingName } from '../config/settings/settings.ts'
import { code } from './code-span.ts'
import type { Installation, Note, NoteKind } from './installation.ts'
import { suffixed } from './traefik-files.ts'

const TITLES: Readonly<Record<NoteKind, string>> = {
  todo: 'To do before the start',
  provider: 'To do at the provider',
  wider: 'Wider than before',
  stricter: 'Stricter than before',
  differs: 'Different from before',
  dropped: 'Not carried over',
  carried: 'Carried over',
}

/** Returns the page that says what has become of each option, and how to move; no secret is in it. */
export function migrationPage(
  installation: Installation,
  folder: string,
  problems: readonly string[],
): string {
  const kinds = Object.keys(TITLES) as NoteKind[]
  const sections = kinds.flatMap((kind) => {
    const members = installation.notes.filter((note) => note.kind === kind).map(line)
    const faults = kind === 'todo' ? problems.map((problem) => `* ${oneLine(problem)}`) : []
    const lines = [...members, ...faults]
    return lines.length === 0 ? [] : [`## ${TITLES[kind]}\n\n${lines.join('\n')}\n`]
  })
  const title = installation.name === '' ? '' : `: ${installation.name}`
  return `# Migration to Vestibule${title}\n\n${sections.join('\n')}\n${wayOver(installation, folder)}`
}

function line({ option, text }: Note): string {
  return `* ${code(oneLine(option))}: ${oneLine(text)}`
}

/** Keeps what the old configuration holds from looking like further lines of the page. */
function oneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
}

function wayOver({ name, settings, platform }: Installation, folder: string): string {
  const valueOf = (setting: SettingName, byDefault: string) =>
    String(settings.get(setting) ?? byDefault)
  const basePath = valueOf('BASE_PATH', '/oauth2')
  const asked = `VESTIBULE_CONFIG=${shellWord(join(folder, 'vestibule.yaml'))}`
  const protectedBy = suffixed('protected', name)
  const objects =
    platform === 'kubernetes'
      ? `\nIn Kubernetes, apply ${code(join(folder, 'kubernetes'))} in place of the Traefik files, the middlewares in each namespace with an app.\n`
      : ''
  return `## Side by side, app by app

\`\`\`sh
${asked} vestibule check-config
${asked} vestibule
\`\`\`

1. Choose the path of the sign-in. The new router for \`${basePath}/\` has the highest priority, so that callbacks of an old service under
   \`${basePath}/\` on these hosts would reach Vestibule. In that case give Vestibule another path until the last app has moved: add
   \`BASE_PATH=/vestibule\` to both commands, which wins over the file, write \`/vestibule/\` into the route to the sign-in in place of
   \`${basePath}/\` (${code(platform === 'kubernetes' ? 'kubernetes/sign-in.yaml' : 'traefik/vestibule.yaml')}, nothing else in it depends on that path), and register
   \`/vestibule/callback\` and \`/vestibule/signed-out\` at the provider too.
2. Start Vestibule beside the old service, as above. \`vestibule.yaml\` names the files of secrets by the paths that they have now: change
   them where the folder is mounted elsewhere. The image runs as user 65532, who must own the folder (\`chown -R 65532\`). Traefik
   reaches Vestibule as \`${suffixed('vestibule', name)}\`, ports ${valueOf('PORT', '4180')} and ${valueOf('INTERNAL_PORT', '4181')}.
3. Put the files of ${code(join(folder, 'traefik'))} beside the others of Traefik's file provider. Names in it are new, so the old middleware stays.
${objects}4. Switch one app: replace the old middleware of its router by \`${protectedBy}\`. The router of the sign-in must not have it.
5. Look at \`${basePath}/me\` of that app (\`/vestibule/me\` with the other path), and at the lines \`sign_in\` and \`not_permitted\` of the log. Then switch the next.
6. When all have moved, stop the old service, and remove its router, middleware and redirect URIs. Delete this page and the old secrets.

**Back:** give the router of the app its old middleware again. Nothing of the old service has changed, and its sessions still hold.

**Users** sign in once more, mostly without a page, because the provider still knows them. The cookies have different names, so nobody is
signed out of the other service.
`
}

/** Writes a path as one word of a shell. */
function shellWord(text: string): string {
  return /^[\w./@%+,:-]+$/.test(text) ? text : `'${text.replaceAll("'", String.raw`'\''`)}'`
}
