import type { ConditionSource } from '../config/rules/condition-source.ts'
import type { RuleSource } from '../config/rules/rules-file.ts'
import type { SettingName } from '../config/settings/settings.ts'

/** Installation of Vestibule that takes the place of another forward-auth service: one client at one provider. */
export interface Installation {
  /** Folder within the output; `''` where there is one installation alone. */
  readonly name: string
  readonly settings: ReadonlyMap<SettingName, SettingValue>
  /** Values that go into files of their own and are never printed; `undefined` for one that the source keeps elsewhere. */
  readonly secrets: ReadonlyMap<SettingName, string | undefined>
  /** Each policy has a middleware of its own, `protected-NAME`. */
  readonly policies: Readonly<Record<string, ConditionSource>>
  readonly rules: readonly RuleSource[]
  readonly notes: readonly Note[]
  /** Platform whose objects the source was; its manifests are written beside the Traefik files. */
  readonly platform?: 'kubernetes'
  /** Apps to which the other service passed requests itself, so that Traefik has no routers for them yet. */
  readonly apps?: readonly AppRoute[]
}

/** Way to an app. */
export interface AppRoute {
  readonly path: string
  /** Whether the path stands for all paths below it. */
  readonly isFolder: boolean
  /** Address of the app, without a path. */
  readonly url: string
  readonly passesHost: boolean
}

export type SettingValue = string | number | boolean | readonly string[]

/** Statement about an option of the service that is left; every option that was given has at least one. */
export interface Note {
  readonly kind: NoteKind
  /** Option as its documentation spells it: `--cookie-domain`, `WHITELIST`, `sessionMaxAge`. Never its value where that is a secret. */
  readonly option: string
  readonly text: string
}

/**
 * `carried`: has the same effect here. `wider`: permits something that the other service refuses, because nothing here can
 * refuse it. `stricter`: refuses something that the other service permits. `differs`: has another effect, which is neither.
 * `dropped`: has no counterpart. `provider`: to be done at the provider. `todo`: to be done by the
 * operator before the installation can work.
 */
export type NoteKind =
  | 'carried'
  | 'wider'
  | 'stricter'
  | 'differs'
  | 'dropped'
  | 'provider'
  | 'todo'
