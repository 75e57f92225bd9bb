// The form of an API key: `ak_`, 8 public characters, `_`, 43 random ones. The public part finds the row.

package import Sealing

package enum KeyText {
    package struct Fresh: Sendable {
        package let text: Secret<String>
        package let prefix: String
        package let digest: [UInt8]
    }

    /// A new key; its text is shown once and then known to nobody but its holder.
    package static func make() -> Fresh {
        let prefix = RandomToken.text(8)
        let text = "ak_\(prefix)_\(RandomToken.text(43))"
        return Fresh(text: Secret(text), prefix: prefix, digest: Digest.sha256(text))
    }

    static func prefix(of key: Secret<String>) -> String? {
        let text = key.reveal()
        guard text.utf8.count == 55, text.hasPrefix("ak_") else { return nil }
        let prefix = text.utf8.dropFirst(3).prefix(8)
        guard text.utf8.dropFirst(11).first == UInt8(ascii: "_") else { return nil }
        return String(Substring(prefix))
    }
}
