export type Form = Readonly<Record<string, string>>

export const parseForm = (body: string, url: string) => {
  const form = /<form\b([^>]*)>([\s\S]*?)<\/form>/i.exec(body)
  if (!form) return undefined
  const [, attributes = '', inside = ''] = form
  const inputs = [...inside.matchAll(/<input\b([^>]*)>/gi)].map(([, input = '']) => input)
  const hidden = inputs.flatMap((input): [string, string][] => {
    const name = attribute(input, 'name')
    return name ? [[name, attribute(input, 'value') ?? '']] : []
  })
  const action = new URL(attribute(attributes, 'action') || url, url).href
  return { action, hidden: Object.fromEntries(hidden) }
}

const attribute = (tag: string, name: string): string | undefined => {
  const value = new RegExp(`\\b${name}\\s*=\\s*"([^"]*)"`, 'i').exec(tag)?.[1]
  return value === undefined ? undefined : unescapeHtml(value)
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', amp: '&' }

const unescapeHtml = (text: string): string =>
  text.replaceAll(/&(?:(lt|gt|quot|amp)|#39|#x27);/g, (_, name) => ENTITIES[name as string] ?? "'")
