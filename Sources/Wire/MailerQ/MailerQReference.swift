// What a sender writes along so that results find their message: MailerQ ignores unknown properties and carries them into
// every result.

package import JSON

package struct MailerQReference: Hashable, Sendable {
    /// The name of the property at the top of the document.
    package static let property = "postern"

    package let message: String
    package let vault: String
    package let correlation: String
    /// How often the message has been handed over, this time included; from 1.
    package let handover: Int

    package init(message: String, vault: String, correlation: String, handover: Int) {
        self.message = message
        self.vault = vault
        self.correlation = correlation
        self.handover = handover
    }

    /// `nil` unless the value is an object with all four members, well-formed: whoever can publish to the broker can
    /// write anything here, so whether such a message exists is for its database to say.
    package init?(_ value: JSONValue?) {
        guard let object = value?.objectValue, let message = Self.id(object["message"]),
            let vault = Self.id(object["vault"]), let correlation = Self.id(object["correlation"]),
            let handover = object["handover"]?.integerValue, (1...1_000_000_000).contains(handover)
        else { return nil }
        self.init(message: message, vault: vault, correlation: correlation, handover: Int(handover))
    }

    func write(to writer: inout JSONWriter) {
        writer.object { writer in
            writer.member("message", message)
            writer.member("vault", vault)
            writer.member("correlation", correlation)
            writer.member("handover", handover)
        }
    }

    /// 1 to 64 letters, digits and underscores.
    private static func id(_ value: JSONValue?) -> String? {
        guard let text = value?.stringValue, (1...64).contains(text.utf8.count),
            text.utf8.allSatisfy({ byte in
                byte == UInt8(ascii: "_") || (0x30...0x39).contains(byte) || (0x61...0x7A).contains(byte | 0x20)
            })
        else { return nil }
        return text
    }
}
