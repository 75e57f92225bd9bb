// Names of things: a prefix and 16 characters of Crockford base32, such as `msg_01jd3k8x5v9q2m7f`. Each kind is a type.

package protocol IdentifierKind: Sendable {
    static var prefix: String { get }
}

/// An id is unique and sortable by time; it is no secret and grants nothing.
package struct Identifier<Kind: IdentifierKind>: Hashable, Sendable, Comparable, CustomStringConvertible {
    package let text: String

    /// Reads an id that came from outside; `nil` unless it has this kind's prefix and form.
    package init?(_ text: String) {
        let utf8 = text.utf8
        guard utf8.count == Kind.prefix.utf8.count + 16, text.hasPrefix(Kind.prefix),
            utf8.suffix(16).allSatisfy(Crockford.isDigit)
        else { return nil }
        self.text = text
    }

    /// An id that our own database holds.
    package init(stored text: String) { self.text = text }

    /// - Parameter value: 80 bits, of which the upper 16 are in `high`.
    package init(high: UInt16, low: UInt64) { text = Kind.prefix + Crockford.text(high: high, low: low) }

    package var description: String { text }

    package static func < (left: Self, right: Self) -> Bool { left.text < right.text }
}

package enum VaultKind: IdentifierKind { package static let prefix = "vlt_" }
package enum KeyKind: IdentifierKind { package static let prefix = "key_" }
package enum SMTPUserKind: IdentifierKind { package static let prefix = "smtp_" }
package enum MessageKind: IdentifierKind { package static let prefix = "msg_" }
package enum EventKind: IdentifierKind { package static let prefix = "evt_" }
package enum CorrelationKind: IdentifierKind { package static let prefix = "cor_" }
package enum PayloadKind: IdentifierKind { package static let prefix = "pay_" }
package enum PoolKind: IdentifierKind { package static let prefix = "pool_" }
package enum OrphanKind: IdentifierKind { package static let prefix = "orp_" }
package enum AlertKind: IdentifierKind { package static let prefix = "alr_" }
package enum AuditKind: IdentifierKind { package static let prefix = "aud_" }
package enum UserKind: IdentifierKind { package static let prefix = "usr_" }
package enum SessionKind: IdentifierKind { package static let prefix = "ses_" }
package enum InvitationKind: IdentifierKind { package static let prefix = "inv_" }
package enum AlertRuleKind: IdentifierKind { package static let prefix = "rul_" }
/// One HTTP request, in its answer and in the log.
package enum RequestKind: IdentifierKind { package static let prefix = "req_" }

package typealias VaultID = Identifier<VaultKind>
package typealias KeyID = Identifier<KeyKind>
package typealias SMTPUserID = Identifier<SMTPUserKind>
package typealias MessageID = Identifier<MessageKind>
package typealias EventID = Identifier<EventKind>
/// One submission's thread through logs, headers and queues: all messages of a submission share it.
package typealias CorrelationID = Identifier<CorrelationKind>
package typealias PayloadID = Identifier<PayloadKind>
/// A result that belongs to no message of ours.
package typealias OrphanID = Identifier<OrphanKind>
package typealias AlertID = Identifier<AlertKind>
package typealias AuditID = Identifier<AuditKind>
/// A person.
package typealias UserID = Identifier<UserKind>
package typealias SessionID = Identifier<SessionKind>
package typealias InvitationID = Identifier<InvitationKind>
package typealias AlertRuleID = Identifier<AlertRuleKind>
package typealias PoolID = Identifier<PoolKind>

/// Crockford's base32 without i, l, o, u: 5 bits a character, in an order that ASCII keeps.
enum Crockford {
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    static func isDigit(_ byte: UInt8) -> Bool { alphabet.contains(byte) }

    static func text(high: UInt16, low: UInt64) -> String {
        String(unsafeUninitializedCapacity: 16) { buffer in
            var (high, low) = (high, low)
            for index in stride(from: 15, through: 0, by: -1) {
                buffer[index] = alphabet[Int(low & 31)]
                low = low >> 5 | UInt64(high & 31) << 59
                high >>= 5
            }
            return 16
        }
    }
}
