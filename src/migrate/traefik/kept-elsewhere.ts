/** Matches a value that another program puts in place: a Secret of Kubernetes, a variable, or a template of Traefik's file provider. */
const REFERENCE = /^urn:k8s:secret:|^\$\{[^}]*\}$|^\$[A-Z_][A-Z\d_]*$|\{\{.*\}\}/s

/** Returns a secret, or `undefined` where the value only says where it is kept. */
export function secretHeld(value: string): string | undefined {
  return REFERENCE.test(value.trim()) || value.trim() === '' ? undefined : value
}
