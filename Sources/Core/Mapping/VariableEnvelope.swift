// Variable envelope return paths (VERP): a sender of its own for each recipient, so that any bounce says whom it is about.

package import MIME
import Sealing

package enum VariableEnvelope {
    /// RFC 5321 §4.5.3.1.1, in octets.
    private static let localPartLimit = 64

    /// `bounces@acme.com` for `jane@example.org` is `bounces+jane=example.org@acme.com`. Where that is too long, or the recipient's
    /// local part has to be quoted, a digest of the recipient's address stands in its place.
    package static func address(_ base: EmailAddress, for recipient: EmailAddress) -> EmailAddress {
        let readable = "\(base.localPart)+\(recipient.localPart)=\(recipient.asciiDomain)"
        if readable.utf8.count <= localPartLimit,
            let address = try? EmailAddress(localPart: readable, domain: base.domain),
            !address.description.hasPrefix("\"")
        {
            return address
        }
        let digest = Digest.hexadecimal(Array(Digest.sha256(recipient.comparisonKey).prefix(10)))
        // A base that leaves no room for the digest goes as it is.
        return (try? EmailAddress(localPart: "\(base.localPart)+\(digest)", domain: base.domain)) ?? base
    }
}
