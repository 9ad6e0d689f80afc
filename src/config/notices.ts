import type { SettingName } from './settings/settings.ts'

/** Part of the configuration that has no effect, and of which the operator is told. */
export type Notice =
  | { readonly kind: 'unknown-name'; readonly name: string; readonly meant: string }
  | { readonly kind: 'ignored-option'; readonly setting: SettingName; readonly option: string }
  /** Value of the settings file in whose place the environment's is used. */
  | { readonly kind: 'overridden'; readonly setting: SettingName; readonly key: string }
  | { readonly kind: 'not-needed'; readonly setting: SettingName; readonly reason: string }
  /** Network of a condition in which no client can be; `place` names the rule or policy. */
  | { readonly kind: 'network-of-proxies'; readonly place: string; readonly network: string }

/** Returns the text for operators; no value that may be secret is in it. */
export function describeNotice(notice: Notice): string {
  switch (notice.kind) {
    case 'unknown-name':
      return `${notice.name} is not a setting and has no effect: is ${notice.meant} meant?`
    case 'ignored-option':
      return `${notice.setting}: the option ${notice.option} has no effect`
    case 'overridden':
      return `${notice.key} of VESTIBULE_CONFIG has no effect: the environment gives ${notice.setting}`
    case 'not-needed':
      return `${notice.setting} has no effect: ${notice.reason}`
    case 'network-of-proxies':
      return `${notice.place}: no client has an address in ${notice.network}, because TRUSTED_PROXIES holds all of it: name only the proxies there`
  }
}
