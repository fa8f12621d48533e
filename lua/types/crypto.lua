---@meta

---What servers need of cryptography, by OpenSSL's libcrypto. Digests and random bytes are strings
---of bytes: `hex` or `base64url` makes text of them. docs/crypto.md has examples.
---@class lunesse.crypto
local crypto = {}

---@alias lunesse.DigestAlgorithm "sha1" | "sha256" | "sha384" | "sha512"

---Bytes that nobody can foresee. In the test kit they are the same in every run.
---
---```lua
---local token = lunesse.crypto.base64url(lunesse.crypto.random(16))
---```
---@param count integer  0 to 1048576
---@return string bytes
function crypto.random(count) end

---Whether two texts are the same. It takes as long for texts that differ in the first byte as for
---equal ones, so that nobody finds a secret by trying; texts of different lengths differ at once.
---@param a string
---@param b string
---@return boolean
function crypto.equal(a, b) end

---The digest of a text. `sha1` is for old protocols alone: it no longer keeps two texts apart.
---
---```lua
---local name = lunesse.crypto.hex(lunesse.crypto.hash("sha256", page))
---```
---@param algorithm lunesse.DigestAlgorithm
---@param text string
---@return string bytes  20, 32, 48 or 64
function crypto.hash(algorithm, text) end

---The digest of a text with a key: HMAC, by which whoever has the key tells that the text is from
---somebody who has it too. Compare it by `equal`.
---
---```lua
---local crypto = lunesse.crypto
---local expected = "sha256=" .. crypto.hex(crypto.hmac("sha256", key, request:text()))
---local is_genuine = crypto.equal(expected, request.headers["x-hub-signature-256"] or "")
---```
---@param algorithm lunesse.DigestAlgorithm
---@param key string
---@param text string
---@return string bytes  20, 32, 48 or 64
function crypto.hmac(algorithm, key, text) end

---Bytes as hexadecimal digits, in lower case.
---@param bytes string
---@return string text
function crypto.hex(bytes) end

---The bytes of hexadecimal digits, of either case.
---@param text string
---@return string? bytes
---@return string? err
---@return "EINVAL" | nil code
function crypto.hex_decode(text) end

---Bytes as base64, with padding.
---@param bytes string
---@return string text
function crypto.base64(bytes) end

---The bytes of a text in base64. It is taken only as `base64` writes it: with padding, without
---white space.
---@param text string
---@return string? bytes
---@return string? err
---@return "EINVAL" | nil code
function crypto.base64_decode(text) end

---Bytes as base64url, without padding: letters, digits, `-` and `_`, for URLs, cookies and file
---names.
---@param bytes string
---@return string text
function crypto.base64url(bytes) end

---The bytes of a text in base64url. It is taken only as `base64url` writes it.
---@param text string
---@return string? bytes
---@return string? err
---@return "EINVAL" | nil code
function crypto.base64url_decode(text) end

---A public key, which `lunesse.crypto.public_key` makes.
---@class lunesse.PublicKey

---A public key from a JSON Web Key (RFC 7517): what `lunesse.json.decode` makes of one. There are
---RSA with 2048 to 8192 bits, EC with P-256, and OKP with Ed25519, for one algorithm each. `use`,
---`alg` and the like are not looked at.
---
---```lua
---local owner = assert(lunesse.crypto.public_key {
---  kty = "OKP", crv = "Ed25519", x = "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
---})
---```
---@param jwk table
---@return lunesse.PublicKey? key
---@return "RS256" | "ES256" | "EdDSA" | string algorithm  or why there is no key
---@return "EINVAL" | nil code
function crypto.public_key(jwk) end

---Whether the owner of the key has signed the text. Of ES256 the signature is the two numbers, 32
---bytes each, as in a JWT.
---
---```lua
---local function is_from(owner, signature)
---  return lunesse.crypto.verify(owner, request:text(), signature)
---end
---```
---@param key lunesse.PublicKey
---@param text string
---@param signature string  bytes
---@return boolean
function crypto.verify(key, text, signature) end

---What to store in place of a password: scrypt with a salt by chance, and its parameters, such as
---`$scrypt$ln=15,r=8,p=3$...$...`. It takes about a fifth of a second and 32 MiB, on a thread of
---its own, while the caller waits as for anything else. A worker hashes one at a time; more than
---the limit `passwords` are refused.
---
---```lua
---users:set(name, lunesse.crypto.password_hash(password))
---```
---@param password string
---@return string? hash
---@return string? err
---@return "EAGAIN" | "ENOMEM" | nil code
function crypto.password_hash(password) end

---Whether this is the password that the hash was made of. Waits as `password_hash` does. With a
---right password `is_outdated` says that a new hash would be stronger: store one.
---
---```lua
---local hash = users:get(name)
---if hash and lunesse.crypto.password_verify(password, hash) then
---  response:send("welcome back\n")
---end
---```
---@param password string
---@param hash string
---@return boolean? is_right
---@return boolean | string | nil is_outdated  or why not
---@return "EINVAL" | "EAGAIN" | "ENOMEM" | nil code
function crypto.password_verify(password, hash) end
