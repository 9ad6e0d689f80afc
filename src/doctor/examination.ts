import type { Config } from '../config/config.ts'
import type { Ask } from './ask.ts'
import type { Finding } from './finding.ts'
import type { Place } from './places.ts'
import type { TraefikConfiguration } from './traefik/configuration.ts'

/** Everything that an examination may ask. */
export interface Patient {
  readonly config: Config
  /** Sites of browsers, each to be examined by itself. */
  readonly places: readonly Place[]
  /** Path of the apps to ask for; absent where any will do. */
  readonly path?: string | undefined
  /** Asks as a browser does. */
  readonly ask: Ask
  /** Asks as a browser that is sent to the provider does, at the address that DNS names. */
  readonly askProvider: Ask
  readonly internal: InternalAddress
  /** Files and API of Traefik that were given. */
  readonly traefik: readonly TraefikSource[]
  /** Version of this program, and of Node. */
  readonly versions: { readonly own: string; readonly node: string }
  /** Tells the operator what is no fault. */
  readonly note: (text: string) => void
}

/** Address of the internal listener, as Traefik uses it. */
export interface InternalAddress {
  /** Origins to try, the likeliest first. */
  readonly origins: readonly string[]
  readonly ask: Ask
}

export interface TraefikSource {
  /** Place that the operator named. */
  readonly name: string
  /** Rejects with a message for the operator. */
  readonly read: () => Promise<TraefikConfiguration>
}

/** One examination, which takes at most some seconds and throws nothing for a fault of the installation. */
export interface Examination {
  /** Its subject, for the progress: `the provider's metadata`. */
  readonly title: string
  readonly examine: (patient: Patient) => Promise<readonly Finding[]>
}
