// Reads the values that dialects share from their texts: addresses, lists of them, headers, base64.

import JSON
package import MIME
package import Model

package enum NativeText {
    /// `a@b.c` or `Name <a@b.c>`.
    package static func mailbox(_ text: String, at place: String, _ problems: inout NativeProblems) -> Mailbox? {
        do throws(MIMEError) {
            return try AddressList.parseMailbox(text).writable()
        } catch {
            problems.invalid("is not an address: \(error.message)", at: place)
            return nil
        }
    }

    /// An address with a name of its own field; an empty name is none.
    package static func mailbox(
        address text: String,
        name: String?,
        at place: String,
        _ problems: inout NativeProblems
    ) -> Mailbox? {
        guard let address = address(text, at: place, &problems) else { return nil }
        do throws(MIMEError) {
            return try Mailbox(name: name.flatMap { $0.isEmpty ? nil : $0 }, address: address)
        } catch {
            problems.invalid("has a name that cannot be written: \(error.message)", at: place)
            return nil
        }
    }

    /// A list as in a header: `a@b.c, "Doe, Jane" <d@e.f>`.
    package static func mailboxes(
        _ text: String,
        at place: String,
        _ problems: inout NativeProblems
    ) -> [Sourced<Mailbox>] {
        do throws(MIMEError) {
            var mailboxes: [Sourced<Mailbox>] = []
            for mailbox in try AddressList.parse(text).mailboxes {
                mailboxes.append(Sourced(try mailbox.writable(), at: place))
            }
            return mailboxes
        } catch {
            problems.invalid("is not an address list: \(error.message)", at: place)
            return []
        }
    }

    /// A bare address.
    package static func address(_ text: String, at place: String, _ problems: inout NativeProblems) -> EmailAddress? {
        do throws(MIMEError) {
            return try EmailAddress(parsing: text)
        } catch {
            problems.invalid("is not an email address: \(error.message)", at: place)
            return nil
        }
    }

    /// A header field that a caller may add: any but those that Postern writes itself.
    package static func header(
        name: String,
        value: String,
        at place: String,
        _ problems: inout NativeProblems
    ) -> Sourced<Envelope.Header>? {
        do throws(MIMEError) {
            let field = try HeaderField(name: name, value: value)
            guard !MIMEBuilder.isReserved(field.name) else {
                problems.invalid("the header \(name) is written by Postern and cannot be given here", at: place)
                return nil
            }
            return Sourced(Envelope.Header(name: name, value: value), at: place)
        } catch {
            problems.invalid(error.message, at: place)
            return nil
        }
    }

    /// Standard base64; line ends are left out, as senders fold it.
    package static func base64(_ text: String, at place: String, _ problems: inout NativeProblems) -> [UInt8]? {
        let isFolded = text.utf8.contains { $0 == 0x0A || $0 == 0x0D }
        let bytes = isFolded ? Base64.decode(text.utf8.filter { $0 != 0x0A && $0 != 0x0D }) : Base64.decode(text.utf8)
        if bytes == nil { problems.invalid("is not base64", at: place) }
        return bytes
    }
}

extension Mailbox {
    /// The mailbox, if its name can be written again: parsing is more liberal than writing.
    func writable() throws(MIMEError) -> Mailbox { try Mailbox(name: name, address: address) }
}
