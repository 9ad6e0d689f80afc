import {
  backSlashes,
  chain,
  collapse,
  compatible,
  cutAtNul,
  cutAtQuery,
  cutParameters,
  decode,
  decodeAsLatin1,
  decodeKeepingSlash,
  decodeSegments,
  decodeStrictly,
  decodeUtf16,
  parseUrl,
  readLetters,
  refuse,
  resolveDots,
  resolveDotsWithin,
  type Step,
  trimNames,
  trimSegments,
  withoutEmptySegments,
} from './steps.ts'

/** A server behind us: which path it serves for a request target, and what it takes for the same. */
export interface ServerModel {
  readonly serve: Step
  readonly isCaseless?: boolean
  readonly ignoresFinalSlash?: boolean
  readonly isCompatible?: boolean
}

const NUL = /\0/
const nginx = chain(decode, refuse(NUL), collapse, resolveDotsWithin)
const nginxKeepingSlashes = chain(decode, refuse(NUL), resolveDotsWithin)
const windows = { isCaseless: true, ignoresFinalSlash: true }
/** Answers with a redirect to the clean path, which is checked for itself. */
const redirectUnlessClean: Step = (path) =>
  collapse(path) === path && resolveDots(path) === path ? path : undefined

export const serverModels: Readonly<Record<string, ServerModel>> = {
  tomcat: { serve: chain(cutParameters, decode, refuse(/[\\\0]/), collapse, resolveDotsWithin) },
  'tomcat with ALLOW_BACKSLASH, encodedSolidusHandling=passthrough': {
    serve: chain(
      cutParameters,
      decodeKeepingSlash,
      refuse(NUL),
      backSlashes,
      collapse,
      resolveDotsWithin,
    ),
  },
  'jetty 9': { serve: chain(cutParameters, decodeUtf16, decode, resolveDotsWithin) },
  'jetty, compactPath': { serve: chain(cutParameters, decode, resolveDotsWithin, collapse) },
  undertow: { serve: chain(decode, cutParameters, collapse, resolveDots) },
  'spring, PathPattern': { serve: chain(cutParameters, decodeSegments), ignoresFinalSlash: true },
  'spring, AntPathMatcher': {
    serve: chain(cutParameters, decode, collapse),
    ignoresFinalSlash: true,
  },
  weblogic: { serve: chain(decode, decode, cutParameters, collapse, resolveDots) },
  iis: {
    serve: chain(
      decodeUtf16,
      decodeAsLatin1,
      refuse(NUL),
      backSlashes,
      collapse,
      trimNames,
      resolveDots,
    ),
    ...windows,
  },
  'iis, allowDoubleEscaping': {
    serve: chain(decode, decodeUtf16, decode, backSlashes, trimNames, resolveDots, collapse),
    ...windows,
  },
  'asp.net, best fit': {
    serve: chain(decodeUtf16, decodeAsLatin1, compatible, backSlashes, resolveDots, trimSegments),
    ...windows,
    isCompatible: true,
  },
  kestrel: { serve: chain(decodeKeepingSlash, refuse(NUL), resolveDots), ...windows },
  nginx: { serve: nginx },
  'nginx, merge_slashes off': { serve: nginxKeepingSlashes },
  'nginx, then node': {
    serve: chain(
      nginxKeepingSlashes,
      (path) => encodeURI(path.toWellFormed()).replace(/[?#]/g, escape),
      parseUrl,
      readLetters,
    ),
    isCaseless: true,
  },
  'nginx, proxied twice': { serve: chain(nginx, cutAtQuery, nginx) },
  apache: { serve: chain(decode, refuse(NUL), collapse, resolveDotsWithin) },
  'apache, AllowEncodedSlashes NoDecode': {
    serve: chain(decodeKeepingSlash, refuse(NUL), collapse, resolveDotsWithin),
  },
  'apache on windows': {
    serve: chain(decode, backSlashes, collapse, resolveDots, trimSegments),
    ...windows,
  },
  // The script is the app; the rest of the path is for it to read.
  'php, path info': { serve: chain(nginx, decode) },
  'php, built-in server': { serve: chain(decode, cutAtNul, resolveDots) },
  laravel: { serve: chain(decode, decode, withoutEmptySegments), ignoresFinalSlash: true },
  express: { serve: readLetters, isCaseless: true, ignoresFinalSlash: true },
  'express, static files': { serve: chain(decodeStrictly, refuse(NUL), collapse, resolveDots) },
  'express, static files on windows': {
    serve: chain(decodeStrictly, refuse(NUL), backSlashes, collapse, resolveDots, trimSegments),
    ...windows,
  },
  'node, URL of the decoded path': { serve: chain(decode, parseUrl, decode) },
  rails: { serve: chain(collapse, decodeSegments), ignoresFinalSlash: true },
  'rails, static files': { serve: chain(decodeStrictly, refuse(NUL), collapse, resolveDots) },
  django: { serve: decode },
  'flask, merge_slashes': { serve: chain(decode, collapse), ignoresFinalSlash: true },
  "go's mux": { serve: chain(decode, redirectUnlessClean) },
  "go's mux since 1.22": { serve: chain(redirectUnlessClean, decodeSegments) },
  traefik: { serve: chain(collapse, resolveDots, decode) },
  caddy: { serve: chain(decode, collapse, resolveDots), isCaseless: true },
  lighttpd: { serve: chain(decode, cutAtNul, collapse, resolveDots) },
  'envoy, then django': { serve: chain(backSlashes, decode, collapse, resolveDots, decode) },
  phoenix: { serve: chain(decodeSegments, withoutEmptySegments), ignoresFinalSlash: true },
  'cgi in c': { serve: chain(decode, cutAtNul, cutAtQuery) },
  'three proxies that decode': { serve: chain(decode, decode, decode, collapse, resolveDots) },
  'an app that folds names': {
    serve: chain(decode, compatible, resolveDots),
    isCaseless: true,
    isCompatible: true,
  },
}
