// What the registry holds, as /v2/ says it to the login that the browser has.
// https://github.com/opencontainers/distribution-spec/blob/main/spec.md

const IMAGE = "application/vnd.oci.image";
const DOCKER = "application/vnd.docker.distribution.manifest";
const MANIFESTS = [
  `${IMAGE}.index.v1+json`, `${IMAGE}.manifest.v1+json`, `${DOCKER}.list.v2+json`, `${DOCKER}.v2+json`,
].join(", ");
const CONFIG = /^application\/vnd\.(oci\.image\.config|docker\.container\.image)\.v1\+json$/;
const MOST_CONFIG_BYTES = 2 ** 20;
const MOST_MEASURED = 20;
const DIGEST = /^[a-z0-9+._-]+:[A-Za-z0-9=_-]+$/;

// https://github.com/sigstore/cosign/blob/main/specs/SIGNATURE_SPEC.md
const SUFFIXES = { sig: "signature (cosign)", att: "attestation (cosign)", sbom: "SBOM (cosign)" };
const KINDS = [
  [/sigstore\.bundle/, "signature or attestation (sigstore)"],
  [/cncf\.notary/, "signature (Notation)"],
  [/spdx|cyclonedx|syft/, "SBOM"],
  [/in-toto/, "attestation"],
];

export const OF_DIGEST = /^(sha256|sha384|sha512)-[0-9a-f]{64,}(\..+)?$/;

export class Refused extends Error {
  constructor(status) {
    super(`the registry responds with ${status}`);
    this.status = status;
  }
}

// From the origin: a relative URL has the login of the address bar, which fetch refuses.
export async function ask(path, signal, headers = {}, method = "GET") {
  const response = await fetch(new URL(path, location.origin), { signal, headers, method });
  if (!response.ok) throw new Refused(response.status);
  return response;
}

// Whoever pushes decides what is in a manifest.
const fields = (value) => (value && typeof value === "object" ? value : {});
const list = (value) => (Array.isArray(value) ? value.filter((x) => x && typeof x === "object") : []);
export const text = (value) => (["string", "number"].includes(typeof value) ? String(value) : "");
const bytes = (value) => (Number.isFinite(value?.size) ? value.size : 0);

export async function names(path, key, signal) {
  const found = [];
  for (let next = `${path}?n=1000`; next;) {
    const response = await ask(next, signal);
    found.push(...((await response.json())[key] ?? []));
    next = /<([^>]*)>\s*;\s*rel="?next/.exec(response.headers.get("Link") ?? "")?.[1];
  }
  return found;
}

async function manifest(repository, reference, signal) {
  const path = `/v2/${repository}/manifests/${reference}`;
  const response = await ask(path, signal, { Accept: MANIFESTS });
  const content = await response.json();
  const [digest, type] = ["Docker-Content-Digest", "Content-Type"].map((x) => response.headers.get(x));
  return { content, digest, type };
}

export async function exists(repository, tag, signal) {
  try {
    return Boolean(await ask(`/v2/${repository}/manifests/${tag}`, signal, { Accept: MANIFESTS }, "HEAD"));
  } catch (error) {
    if (error.status === 404) return false;
    throw error;
  }
}

function sizeOf(content) {
  return [content.config, ...list(content.layers)].reduce((sum, x) => sum + bytes(x), 0);
}

function platform(value) {
  return [value?.os, value?.architecture, value?.variant].map(text).filter(Boolean).join("/");
}

function kindOf(type) {
  return KINDS.find(([pattern]) => pattern.test(type))?.[1] ?? (type || "unknown");
}

// An image is one manifest, or an index with one for each platform.
export async function image(repository, reference, signal) {
  const { content, digest, type } = await manifest(repository, reference, signal);
  const found = { digest, type, annotations: fields(content.annotations), labels: {}, created: "", attached: [] };
  if (content.manifests) {
    // https://docs.docker.com/build/metadata/attestations/attestation-storage/
    const isAttestation = (x) => x.annotations?.["vnd.docker.reference.type"] === "attestation-manifest";
    const parts = list(content.manifests);
    found.platforms = parts
      .filter((x) => !isAttestation(x))
      .map((x) => ({ name: platform(x.platform) || kindOf(text(x.artifactType)), digest: text(x.digest) }));
    found.attached = parts
      .filter(isAttestation)
      .map((x) => ({ kind: "attestation (BuildKit)", reference: text(x.digest) }));
    return found;
  }
  found.size = sizeOf(content);
  const config = fields(content.config);
  const kind = text(config.mediaType);
  let name = kindOf(text(content.artifactType) || kind);
  if (CONFIG.test(kind) && DIGEST.test(text(config.digest)) && bytes(config) < MOST_CONFIG_BYTES) {
    const response = await ask(`/v2/${repository}/blobs/${config.digest}`, signal);
    const configured = await response.json().catch(() => null);
    name = platform(configured) || "unknown";
    found.created = text(configured?.created);
    found.labels = fields(configured?.config?.Labels);
  }
  found.platforms = [{ name, digest, size: found.size }];
  return found;
}

// The sizes of an index's images are in their own manifests.
export async function measure(repository, platforms, signal) {
  const unknown = platforms.filter((x) => x.size === undefined && DIGEST.test(x.digest));
  const sizes = unknown.slice(0, MOST_MEASURED).map(async (x) => {
    x.size = sizeOf((await manifest(repository, x.digest, signal)).content);
  });
  await Promise.allSettled(sizes);
}

// What signs or describes an image: by tags named after its digest, as registries without the
// referrers API have it. `has` says whether there is a tag.
export async function attached(repository, digest, has, signal) {
  const tag = digest.replace(":", "-");
  const found = [];
  for (const [suffix, kind] of Object.entries(SUFFIXES)) {
    if (await has(`${tag}.${suffix}`)) found.push({ kind, reference: `${tag}.${suffix}` });
  }
  if (await has(tag)) {
    const { content } = await manifest(repository, tag, signal);
    for (const x of list(content.manifests)) {
      found.push({ kind: kindOf(text(x.artifactType)), reference: text(x.digest) });
    }
  }
  return found;
}
