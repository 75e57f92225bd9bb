// Who was deleted stays out: single sign-on makes no new account for the same address or the same identity until an admin
// invites that address again. Only digests are kept, so that nothing of the person stays here.

import Crypto
import Model
package import SQL

package struct BarredPeople: Sendable {
    private let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// Whether somebody with this address, or this identity at a sign-in service, was deleted.
    package func holds(email: String, issuer: String? = nil, subject: String? = nil) async throws -> Bool {
        try await database.read { try $0.isBarred(email: User.key(of: email), issuer: issuer, subject: subject) }
    }

    /// Lengths go before the parts, so that no two identities make the same text.
    fileprivate static func digest(_ parts: String...) -> [UInt8] {
        let text = parts.map { "\($0.utf8.count):\($0)" }.joined()
        return Array(SHA256.hash(data: Array(text.utf8)))
    }

    fileprivate static func digest(address key: String) -> [UInt8] { digest("address", key) }

    fileprivate static func digest(issuer: String, subject: String) -> [UInt8] { digest("identity", issuer, subject) }
}

extension SQLConnection {
    func isBarred(email key: String, issuer: String? = nil, subject: String? = nil) throws -> Bool {
        var digests = [BarredPeople.digest(address: key)]
        if let issuer, let subject { digests.append(BarredPeople.digest(issuer: issuer, subject: subject)) }
        return try row("SELECT 1 FROM barred_people WHERE digest IN \(list: digests)") != nil
    }

    /// Keeps somebody out who is being deleted. Before their identities are.
    func bar(_ user: User, at now: Timestamp) throws {
        let identities = try rows(
            "SELECT issuer, subject FROM user_identities WHERE user_id = \(user.id.text) ORDER BY issuer, subject")
        let person = BarredPeople.digest(address: user.emailKey)
        let digests = try identities.map { BarredPeople.digest(issuer: try $0.text(0), subject: try $0.text(1)) }
        for digest in [person] + digests {
            try send(
                """
                INSERT INTO barred_people (digest, person, created_at)
                VALUES (\(digest), \(person), \(now.milliseconds)) ON CONFLICT (digest) DO UPDATE SET person = excluded.person
                """)
        }
    }

    /// Lets somebody in again, by every way.
    func unbar(_ emailKey: String) throws(SQLError) {
        try send("DELETE FROM barred_people WHERE person = \(BarredPeople.digest(address: emailKey))")
    }
}
