// AES-256-GCM keys: the instance's master key wraps one data key per vault, and data keys seal the secrets themselves.

import Crypto
import FoundationEssentials

package struct SealingKey: Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    private let key: SymmetricKey

    private init(_ key: SymmetricKey) { self.key = key }

    /// 32 fresh random bytes.
    package static func random() -> SealingKey { SealingKey(SymmetricKey(size: .bits256)) }

    /// - Throws: `SealingError.malformedKey` unless the text is 32 bytes in base64.
    package init(base64: String) throws(SealingError) {
        guard let data = Data(base64Encoded: base64.trimmed), data.count == 32 else { throw .malformedKey }
        key = SymmetricKey(data: data)
    }

    package var base64: Secret<String> { key.withUnsafeBytes { Secret(Data($0).base64EncodedString()) } }

    package var description: String { "‹key›" }
    package var debugDescription: String { "‹key›" }
    package var customMirror: Mirror { Mirror(self, children: []) }

    /// Seals bytes: 12 bytes of nonce, the ciphertext, 16 bytes of tag.
    /// - Parameter context: what the bytes belong to (vault, name). Opened under another context they are refused, so that a
    ///   row moved to another vault or name opens nothing.
    package func seal(_ bytes: [UInt8], context: String) throws(SealingError) -> [UInt8] {
        guard let box = try? AES.GCM.seal(bytes, using: key, authenticating: Array(context.utf8)),
            let combined = box.combined
        else { throw .wrongKey }
        return Array(combined)
    }

    package func open(_ sealed: [UInt8], context: String) throws(SealingError) -> [UInt8] {
        guard let box = try? AES.GCM.SealedBox(combined: sealed),
            let bytes = try? AES.GCM.open(box, using: key, authenticating: Array(context.utf8))
        else { throw .wrongKey }
        return Array(bytes)
    }

    /// 32 bytes for one purpose (HKDF-SHA256, RFC 5869): what is known of one purpose's says nothing of another's.
    package func derived(_ purpose: String) -> Secret<[UInt8]> {
        let derived = HKDF<SHA256>.deriveKey(
            inputKeyMaterial: key, info: Array("postern \(purpose)".utf8), outputByteCount: 32)
        return Secret(derived.withUnsafeBytes { Array($0) })
    }

    /// This key, sealed by another.
    package func wrapped(by master: SealingKey, context: String) throws(SealingError) -> [UInt8] {
        try master.seal(key.withUnsafeBytes { Array($0) }, context: context)
    }

    package init(unwrapping wrapped: [UInt8], by master: SealingKey, context: String) throws(SealingError) {
        key = SymmetricKey(data: try master.open(wrapped, context: context))
    }
}

extension String {
    fileprivate var trimmed: String {
        String(drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
    }
}
