// What a new key is to be, as it was asked for. What is left open comes from the key that issues it.

package import Model
package import Store

extension CallerDirectory {
    package struct KeyRequest: Sendable {
        package var label: String
        package var kind: APIKey.Kind
        package var scopes: Scopes
        package var isReadOnly: Bool
        package var senderDomains: [DomainPattern]?
        package var expiresAt: Timestamp?
        package var labelPrefix: String?
        package var allowedIPs: [IPNetwork]?
        /// The key's own limit, beside those of the keys that it comes from.
        package var limit: RateLimit?
        package var ipPool: String?
        /// Ends soon, and can neither be rotated nor issue keys.
        package var isTemporary = false

        package init(
            label: String, kind: APIKey.Kind, scopes: Scopes, isReadOnly: Bool = false,
            senderDomains: [DomainPattern]? = nil, expiresAt: Timestamp? = nil
        ) {
            self.label = label
            self.kind = kind
            self.scopes = scopes
            self.isReadOnly = isReadOnly
            self.senderDomains = senderDomains
            self.expiresAt = expiresAt
        }

        /// Seconds that a temporary key may live.
        package static let temporaryLifetime: ClosedRange<Int64> = 300...604_800
        /// Characters of a label prefix.
        package static let labelPrefixLimit = 64
        /// Entries of a list.
        package static let listLimit = 100
        /// Seconds that a key's old text may go on beside the new one.
        package static let overlap: ClosedRange<Int64> = 0...604_800
    }
}
