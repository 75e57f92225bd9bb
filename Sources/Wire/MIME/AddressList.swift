// Address lists (RFC 5322 §3.4): what `To:` and its kin hold.

package enum AddressListEntry: Hashable, Sendable {
    case mailbox(Mailbox)
    case group(name: String, members: [Mailbox])

    package var mailboxes: [Mailbox] {
        switch self {
        case .mailbox(let mailbox): return [mailbox]
        case .group(_, let members): return members
        }
    }
}

extension [AddressListEntry] {
    /// All mailboxes in order, those inside groups included.
    package var mailboxes: [Mailbox] { flatMap(\.mailboxes) }
}

package enum AddressList {
    /// Parses an address list: names, comments, groups, encoded words, and the obsolete forms of RFC 5322 §4.4
    /// (routes, empty elements, comments and spaces around dots). An empty list is `[]`.
    /// - Throws: ``MIMEError`` `invalid_address_list`, `invalid_address`, `invalid_domain`, `address_too_long`,
    ///   `too_many_addresses`.
    package static func parse(
        _ bytes: [UInt8],
        limits: MIMELimits = .default
    ) throws(MIMEError) -> [AddressListEntry] {
        var parser = AddressListParser(bytes: bytes, limits: limits)
        return try parser.parseList()
    }

    package static func parse(
        _ text: String,
        limits: MIMELimits = .default
    ) throws(MIMEError) -> [AddressListEntry] {
        try parse(Array(text.utf8), limits: limits)
    }

    /// Parses exactly one mailbox, `Ann <ann@example.com>` or `ann@example.com`.
    package static func parseMailbox(_ text: String) throws(MIMEError) -> Mailbox {
        let entries = try parse(text)
        guard entries.count == 1, case .mailbox(let mailbox) = entries[0] else {
            throw MIMEError(.invalidAddressList, "Exactly one address is expected here.")
        }
        return mailbox
    }
}
