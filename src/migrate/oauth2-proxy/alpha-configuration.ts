import { parseDocument } from 'yaml'
import { z } from 'zod'
import { type ConfigurationFile, MigrationError } from '../old-configuration.ts'
import { substitute } from './substitute.ts'

const text = z.union([z.string(), z.number(), z.boolean()]).transform(String)
const flag = z.boolean()
const anything = z.unknown()

const secret = z.strictObject({ value: text, fromEnv: text, fromFile: text }).partial()
const header = z.strictObject({
  name: text,
  preserveRequestValue: flag.optional(),
  InsecureSkipHeaderNormalization: flag.optional(),
  values: z
    .array(
      z
        .strictObject({
          claim: text,
          prefix: text,
          basicAuthPassword: secret,
          value: text,
          fromEnv: text,
          fromFile: text,
          claimSource: z
            .strictObject({ claim: text, prefix: text, basicAuthPassword: secret })
            .partial(),
          secretSource: secret,
        })
        .partial(),
    )
    .default([]),
})

const upstream = z
  .strictObject({
    id: text,
    path: text,
    rewriteTarget: text,
    uri: text,
    insecureSkipTLSVerify: flag,
    static: flag,
    staticCode: anything,
    flushInterval: anything,
    passHostHeader: flag,
    proxyWebSockets: flag,
    timeout: anything,
    disableKeepAlives: flag,
  })
  .partial()

const server = z
  .strictObject({
    bindAddress: text,
    secureBindAddress: text,
    tls: anything,
    BindAddress: text,
    SecureBindAddress: text,
    TLS: anything,
  })
  .partial()

/** Members of a provider; those that are options of the command line are named there. */
const provider = z.record(z.string(), z.unknown())

const alpha = z
  .strictObject({
    upstreamConfig: z.strictObject({ proxyRawPath: flag, upstreams: z.array(upstream) }).partial(),
    injectRequestHeaders: z.array(header),
    injectResponseHeaders: z.array(header),
    server,
    metricsServer: server,
    providers: z.array(provider),
  })
  .partial()

export type Alpha = z.output<typeof alpha>
export type AlphaHeader = z.output<typeof header>

/** Parses the alpha configuration, with variables in their places. Throws `MigrationError`, which quotes no value. */
export function parseAlpha(
  file: ConfigurationFile,
  environment: ReadonlyMap<string, string>,
): { readonly alpha: Alpha; readonly missing: readonly string[] } {
  const { text: source, missing } = substitute(file.text, environment)
  const document = parseDocument(source, { logLevel: 'error' })
  const [fault] = document.errors
  if (fault) {
    const line = fault.linePos?.[0].line
    throw new MigrationError([`${file.path} is not YAML, at line ${line ?? 'unknown'}`])
  }
  const result = alpha.safeParse(document.toJS() ?? {})
  if (result.success) return { alpha: result.data, missing }
  throw new MigrationError(
    result.error.issues.map((issue) => {
      const keys = 'keys' in issue ? `: ${issue.keys.join(', ')}` : ''
      return `${file.path}: ${issue.path.join('.') || 'the file'} is not as oauth2-proxy 7.15.3 has it (${issue.code}${keys})`
    }),
  )
}
