// Makes tokens with npm's `jose`, and with Node's crypto what `jose` refuses to make. Reads { now,
// secret, rules }, prints { set, cases: [[name, token, whether jose takes it]] }.
import crypto from "node:crypto";
import fs from "node:fs";
import * as jose from "jose";

const { now, secret, rules } = JSON.parse(fs.readFileSync(0, "utf8"));
const pairs = {
  RS256: crypto.generateKeyPairSync("rsa", { modulusLength: 2048 }),
  ES256: crypto.generateKeyPairSync("ec", { namedCurve: "P-256" }),
  EdDSA: crypto.generateKeyPairSync("ed25519"),
};
const stranger = crypto.generateKeyPairSync("rsa", { modulusLength: 2048 });
const others = {
  p384: crypto.generateKeyPairSync("ec", { namedCurve: "P-384" }),
};
const publicJwk = (pair, more) => ({ ...pair.publicKey.export({ format: "jwk" }), ...more });
const set = { keys: Object.entries(pairs).map(([alg, pair]) =>
  publicJwk(pair, { kid: alg, alg, use: "sig" })) };
const localSet = jose.createLocalJWKSet(set);
const secretBytes = new TextEncoder().encode(secret);
const b64 = (value) => Buffer.from(value).toString("base64url");
const keyOf = (alg) => alg == "HS256" ? secretBytes : pairs[alg].privateKey;

const cases = [];
const add = async (name, token) => {
  let isTaken = true;
  try {
    await jose.jwtVerify(token, (header, whole) => header.alg == "HS256" ? secretBytes
      : localSet(header, whole), {
      ...rules, clockTolerance: 5, currentDate: new Date(now * 1000),
      algorithms: ["HS256", "RS256", "ES256", "EdDSA", "Ed25519"],
    });
  } catch {
    isTaken = false;
  }
  cases.push([name, token, isTaken]);
};

const good = { sub: "ada", iss: rules.issuer, aud: rules.audience, exp: now + 60, iat: now };
const sign = (alg, claims, header) => new jose.SignJWT(claims)
  .setProtectedHeader({ alg, ...header }).sign(keyOf(alg));
// Signs whatever text: `how(text)` returns the bytes of the signature.
const raw = (header, claims, how) => {
  const text = b64(typeof header == "string" ? header : JSON.stringify(header)) + "." +
    b64(typeof claims == "string" ? claims : JSON.stringify(claims));
  return text + "." + b64(how(text));
};
const hmac = (key) => (text) => crypto.createHmac("sha256", key).update(text).digest();
const rsa = (text) => crypto.sign("sha256", text, pairs.RS256.privateKey);
const ec = (text) => crypto.sign("sha256", text, {
  key: pairs.ES256.privateKey, dsaEncoding: "ieee-p1363" });
const ed = (text) => crypto.sign(null, text, pairs.EdDSA.privateKey);
const HOW = { HS256: hmac(secretBytes), RS256: rsa, ES256: ec, EdDSA: ed };

const CLAIMS = {
  "as it should be": {},
  "that nobody is named in": { sub: undefined },
  "for several": { aud: ["x", rules.audience] },
  "for another": { aud: "x" },
  "for nobody": { aud: undefined },
  "for an empty list": { aud: [] },
  "for a number": { aud: 7 },
  "for a list of lists": { aud: [[rules.audience]] },
  "for an object": { aud: { 1: rules.audience } },
  "for what is nearly right": { aud: rules.audience + " " },
  "from another": { iss: "x" },
  "from nobody": { iss: undefined },
  "from a list": { iss: [rules.issuer] },
  "without an end": { exp: undefined },
  "that has just ended": { exp: now - 5 },
  "that ends in the leeway": { exp: now - 4 },
  "that ended long ago": { exp: 0 },
  "that ends before 1970": { exp: -1 },
  "that ends at a fraction": { exp: now - 4.5 },
  "that ends at a text": { exp: String(now + 60) },
  "that ends at null": { exp: null },
  "that ends at an object": { exp: {} },
  "that begins in the leeway": { nbf: now + 5 },
  "that begins later": { nbf: now + 6 },
  "that begins at a text": { nbf: String(now) },
  "made at a text": { iat: "x" },
  "made in the leeway": { iat: now + 5 },
  "made in the future": { iat: now + 6 },
  "of a number": { sub: 7 },
};
for (const [alg, how] of Object.entries(HOW)) {
  for (const [name, claims] of Object.entries(CLAIMS)) {
    await add(`${alg} ${name}`, raw({ alg, kid: alg }, { ...good, ...claims }, how));
  }
  await add(`${alg} by jose`, await sign(alg, good, { kid: alg, typ: "JWT" }));
  await add(`${alg} by jose, without a kid`, await sign(alg, good));
  const late = JSON.stringify(good).replace(`"exp":${now + 60}`, `"exp":1${"0".repeat(400)}`);
  await add(`${alg} with an end of many digits`, raw({ alg }, late, how));
  for (const [name, header] of Object.entries({
    "with a kid that nobody has": { kid: "x" }, "with a kid that is a number": { kid: 7 },
    "with crit": { crit: ["exp"], exp: 1 }, "with an empty crit": { crit: [] },
    "with crit that is null": { crit: null },
    "with an unencoded body": { crit: ["b64"], b64: false },
    "with a key in it": { jwk: publicJwk(stranger), jku: "http://127.0.0.1:1/" },
  })) {
    await add(`${alg} ${name}`, raw({ alg, ...header }, good, how));
  }
  for (const [name, body] of Object.entries({
    "of an array": [good], "of a text": "\"x\"", "of null": "null", "of nothing": "",
    "of two values": "{}{}", "of no JSON": "{", "of bytes": Buffer.from([0xff, 0x7b, 0x7d]),
    "with a byte order mark": "\ufeff" + JSON.stringify(good),
  })) {
    const text = b64(JSON.stringify({ alg })) + "." +
      b64(Array.isArray(body) ? JSON.stringify(body) : body);
    await add(`${alg} ${name}`, text + "." + b64(how(text)));
  }
  for (const other of [...Object.keys(HOW), "none", "None", "NONE", "nOnE", "", "HS384", "HS512",
    "RS384", "RS512", "PS256", "ES256K", "ES384", "Ed448", "hs256", null, 7, ["RS256"], {}]) {
    if (other !== alg) {
      await add(`signed as ${alg}, called ${JSON.stringify(other)}`,
        raw({ alg: other, kid: alg }, good, how));
      await add(`signed as ${alg}, called ${JSON.stringify(other)}, without a kid`,
        raw({ alg: other }, good, how));
    }
  }
}
for (const alg of Object.keys(HOW).concat("none", "None", "nOnE", "NONE")) {
  await add(`${alg} with an empty signature`, raw({ alg }, good, () => ""));
  await add(`${alg} with zeros`, raw({ alg }, good, () => Buffer.alloc(64)));
  await add(`${alg} with many zeros`, raw({ alg }, good, () => Buffer.alloc(256)));
}
// The public keys, in all the forms in which they are known, as secrets of HMAC.
for (const [alg, pair] of Object.entries(pairs)) {
  const jwk = publicJwk(pair);
  for (const [form, key] of Object.entries({
    pem: pair.publicKey.export({ format: "pem", type: "spki" }),
    "pem, trimmed": pair.publicKey.export({ format: "pem", type: "spki" }).trim(),
    der: pair.publicKey.export({ format: "der", type: "spki" }), jwk: JSON.stringify(jwk),
    number: Buffer.from(jwk.n ?? jwk.x, "base64url"), text: jwk.n ?? jwk.x, nothing: "",
  })) {
    await add(`HMAC by the ${form} of ${alg}`, raw({ alg: "HS256" }, good, hmac(key)));
    await add(`HMAC by the ${form} of ${alg}, as ${alg}`, raw({ alg, kid: alg }, good, hmac(key)));
  }
}
await add("by a stranger", raw({ alg: "RS256", kid: "RS256" }, good,
  (text) => crypto.sign("sha256", text, stranger.privateKey)));
await add("PS256 by the same key", raw({ alg: "RS256" }, good, (text) => crypto.sign("sha256", text,
  { key: pairs.RS256.privateKey, padding: crypto.constants.RSA_PKCS1_PSS_PADDING })));
await add("RSA with SHA-1", raw({ alg: "RS256" }, good,
  (text) => crypto.sign("sha1", text, pairs.RS256.privateKey)));
await add("ES256 in DER", raw({ alg: "ES256" }, good,
  (text) => crypto.sign("sha256", text, pairs.ES256.privateKey)));
await add("ES256 by P-384", raw({ alg: "ES256" }, good, (text) => crypto.sign("sha256", text,
  { key: others.p384.privateKey, dsaEncoding: "ieee-p1363" })));
await add("Ed25519 by its second name", raw({ alg: "Ed25519" }, good, ed));
await add("two algorithms, the last one right",
  raw('{"alg":"none","alg":"RS256"}', good, rsa));
await add("two algorithms, the first one right",
  raw('{"alg":"RS256","alg":"none"}', good, rsa));
const one = await sign("HS256", good);
const [head, body, tail] = one.split(".");
for (const [name, token] of Object.entries({
  "two parts": `${head}.${body}`, "four parts": `${one}.x`, "five parts": `${one}.x.y`,
  "an empty third part": `${head}.${body}.`, "an empty head": `.${body}.${tail}`,
  "an empty body": `${head}..${tail}`, "padding": `${one}=`, "the other alphabet": `${one}+`,
  "half a body": `${head}.${body.slice(0, 8)}.${tail}`,
})) {
  await add(name, token);
}
const last = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
await add("a second spelling of the signature",
  one.slice(0, -1) + last[last.indexOf(one.at(-1)) ^ 1]);
console.log(JSON.stringify({ set, cases }));
