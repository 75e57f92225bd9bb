// Seals what the database says of the audit log's ends under a key that is not in it: who can write to the database, and has not
// the master key, can write a chain anew, but not its seals.

import Crypto
package import Model
package import Sealing
package import Store

package struct AuditSealKey: Sendable {
    /// What the instance's key is asked for.
    package static let purpose = "audit seals"
    private static let version: UInt8 = 1

    private let key: SymmetricKey

    /// - Parameter secret: 32 bytes, `InstanceKey.derived(AuditSealKey.purpose)`.
    package init(_ secret: Secret<[UInt8]>) { key = SymmetricKey(data: secret.reveal()) }

    package func seal(_ link: AuditChain.Link, of chain: String, as kind: AuditSeal.Kind, at time: Timestamp)
        -> AuditSeal
    {
        let input = Self.input(chain, kind, link, time)
        return AuditSeal(
            chain: chain, kind: kind, link: link, at: time,
            seal: Array(HMAC<SHA256>.authenticationCode(for: input, using: key)))
    }

    package func isGenuine(_ seal: AuditSeal) -> Bool {
        HMAC<SHA256>.isValidAuthenticationCode(
            seal.seal, authenticating: Self.input(seal.chain, seal.kind, seal.link, seal.at), using: key)
    }

    private static func input(
        _ chain: String, _ kind: AuditSeal.Kind, _ link: AuditChain.Link, _ time: Timestamp
    ) -> [UInt8] {
        var input = DigestInput(version: version)
        input.add(chain)
        input.add(kind.rawValue)
        input.add(link.sequence)
        input.add(link.digest)
        input.add(time.milliseconds)
        return input.bytes
    }
}

extension AuditSealKey {
    /// What the seal over all newest seals seals: none of them can be taken away, or put back to an older one, alone.
    static func rosterDigest(_ newest: [AuditSeal]) -> [UInt8] {
        var input = DigestInput(version: version)
        for seal in newest.sorted(by: { ($0.chain, $0.kind.rawValue) < ($1.chain, $1.kind.rawValue) }) {
            input.add(seal.chain)
            input.add(seal.kind.rawValue)
            input.add(seal.link.sequence)
            input.add(seal.link.digest)
        }
        return Array(SHA256.hash(data: input.bytes))
    }

    /// - Parameter roster: the one before.
    func roster(over newest: [AuditSeal], after roster: AuditSeal?, at time: Timestamp) -> AuditSeal {
        let link = AuditChain.Link(sequence: (roster?.link.sequence ?? 0) + 1, digest: Self.rosterDigest(newest))
        return seal(link, of: AuditSeal.roster, as: .head, at: time)
    }

    /// What is wrong with the seals as a whole; `nil` where they are as they were made.
    func problem(with newest: [AuditSeal], under roster: AuditSeal?) -> String? {
        guard let roster else { return newest.isEmpty ? nil : "the seal over all seals was taken away" }
        guard isGenuine(roster) else { return "the seal over all seals is forged" }
        guard roster.link.digest == Self.rosterDigest(newest) else {
            return "a seal was taken away, put in or put back to an older one"
        }
        return nil
    }
}
