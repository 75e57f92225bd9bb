// Invitations in the database: made, listed, renewed, revoked. `InvitationRepository+Accept` is about their use.

import JSON
package import Model
package import SQL

package struct InvitationRepository: Sendable {
    let database: any SQLDatabase

    package init(database: any SQLDatabase) { self.database = database }

    /// How somebody stands who makes invitations, or answers for one.
    package struct Standing: Sendable {
        /// `nil` where they are gone.
        package let user: User?
        package let memberships: [VaultID: VaultRole]
    }

    /// What a new or a renewed invitation is judged by.
    package struct Scene: Sendable {
        package let asker: Standing
        /// Who has the address already.
        package let invitee: User?
        /// Whether somebody with the address was deleted.
        package let isBarred: Bool
        /// Others that wait, made in the same place: in this vault, or at the instance.
        package let pending: Int
        /// Whether another one waits for the same address, made in the same place.
        package let isRepeated: Bool
    }

    /// Adds an invitation. Whoever was deleted and is invited again may come in again by every way.
    /// - Parameters:
    ///   - digest: of the text in the link.
    ///   - judge: throws where it must not be.
    package func insert(
        _ invitation: Invitation,
        digest: [UInt8],
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (Scene) throws -> Void
    ) async throws {
        try await database.change(.people) { connection in
            let now = invitation.createdAt
            try judge(try connection.scene(invitation, at: now))
            try connection.checkRoom(for: invitation)
            try connection.unbar(invitation.emailKey)
            try connection.send(
                """
                INSERT INTO invitations (id, digest, email, email_key, role, grants, invited_by, vault_id, created_at,
                    expires_at)
                VALUES (\(invitation.id.text), \(digest), \(invitation.email), \(invitation.emailKey),
                    \(invitation.role.rawValue), \(invitation.storedGrants), \(invitation.invitedBy.text),
                    \(invitation.vault?.text), \(now.milliseconds), \(invitation.expiresAt.milliseconds))
                """)
            try connection.record(nil, invitation, at: now, audit)
        }
    }

    /// Gives an invitation a new text and its whole time again; the old text ends with the commit.
    /// - Parameters:
    ///   - asker: who answers for it from now on.
    ///   - vault: the vault that it has to be of; `nil`: any, and the instance's.
    ///   - judge: throws where it must not be renewed.
    /// - Returns: the invitation as it is now; `nil` where there is none.
    package func renew(
        _ id: InvitationID,
        digest: [UInt8],
        of vault: VaultID?,
        by asker: UserID,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (Invitation, Scene) throws -> Void
    ) async throws -> Invitation? {
        try await database.change(.people, unless: { $0 == nil }) { connection in
            guard let old = try connection.invitation(id, of: vault) else { return nil }
            var new = old
            (new.invitedBy, new.expiresAt) = (asker, now.adding(seconds: Invitation.lifetime))
            try judge(old, try connection.scene(new, at: now))
            try connection.checkRoom(for: new)
            try connection.unbar(new.emailKey)
            try connection.send(
                """
                UPDATE invitations SET digest = \(digest), invited_by = \(asker.text),
                    expires_at = \(new.expiresAt.milliseconds)
                WHERE id = \(id.text)
                """)
            try connection.record(old, new, at: now, audit)
            return new
        }
    }

    /// Ends an invitation that waits.
    /// - Parameter judge: throws where it must not be.
    /// - Returns: the invitation as it is now; `nil` where there is none. One that had ended stays as it was.
    package func revoke(
        _ id: InvitationID,
        of vault: VaultID?,
        by asker: UserID,
        at now: Timestamp,
        audit: @escaping AuditMaker,
        _ judge: @escaping @Sendable (Invitation, Standing) throws -> Void
    ) async throws -> Invitation? {
        try await database.change(.people, unless: { $0?.revokedAt != now }) { connection in
            guard let old = try connection.invitation(id, of: vault) else { return nil }
            try judge(old, try connection.standing(asker))
            guard old.acceptedAt == nil, old.revokedAt == nil else { return old }
            var new = old
            new.revokedAt = now
            try connection.send("UPDATE invitations SET revoked_at = \(now.milliseconds) WHERE id = \(id.text)")
            try connection.record(old, new, at: now, audit)
            return new
        }
    }

    /// Instance level where `vault` is `nil`: all invitations; else those that the vault's owners made. The newest first.
    /// - Parameter before: the last id of the page before.
    package func list(
        of vault: VaultID? = nil,
        state: Invitation.State? = nil,
        before: InvitationID? = nil,
        limit: Int,
        at now: Timestamp
    ) async throws -> [Invitation] {
        var conditions: SQLStatement = "1 = 1"
        if let vault { conditions = "\(conditions) AND vault_id = \(vault.text)" }
        if let before { conditions = "\(conditions) AND id < \(before.text)" }
        switch state {
        case .pending: conditions = "\(conditions) AND \(Self.isPending(at: now))"
        case .accepted: conditions = "\(conditions) AND accepted_at IS NOT NULL"
        case .revoked: conditions = "\(conditions) AND revoked_at IS NOT NULL"
        case .expired:
            conditions =
                "\(conditions) AND accepted_at IS NULL AND revoked_at IS NULL AND expires_at <= \(now.milliseconds)"
        case nil: break
        }
        let statement: SQLStatement =
            "SELECT \(Invitation.columns) FROM invitations WHERE \(conditions) ORDER BY id DESC LIMIT \(limit)"
        return try await database.read { try $0.rows(statement).map(Invitation.init(row:)) }
    }

    /// The invitation that a link holds, in whatever state, and how the one stands who answers for it.
    package func find(digest: [UInt8]) async throws -> (invitation: Invitation, by: Standing)? {
        try await database.read { connection in
            guard let invitation = try connection.invitation(digest: digest) else { return nil }
            return (invitation, try connection.standing(invitation.invitedBy))
        }
    }

    /// Those that wait for an address.
    package func pending(for email: String, at now: Timestamp) async throws -> [Invitation] {
        try await database.read { try $0.pendingInvitations(User.key(of: email), at: now) }
    }

    fileprivate static func isPending(at now: Timestamp) -> SQLStatement {
        "accepted_at IS NULL AND revoked_at IS NULL AND expires_at > \(now.milliseconds)"
    }
}

extension SQLConnection {
    func invitation(digest: [UInt8]) throws -> Invitation? {
        try row("SELECT \(Invitation.columns) FROM invitations WHERE digest = \(digest)").map(Invitation.init(row:))
    }

    func pendingInvitations(_ emailKey: String, at now: Timestamp) throws -> [Invitation] {
        try rows(
            """
            SELECT \(Invitation.columns) FROM invitations
            WHERE email_key = \(emailKey) AND \(InvitationRepository.isPending(at: now)) ORDER BY id
            """
        ).map(Invitation.init(row:))
    }

    func standing(_ id: UserID) throws -> InvitationRepository.Standing {
        let memberships = try memberships(of: id).map { ($0.vault, $0.role) }
        return InvitationRepository.Standing(
            user: try user(id), memberships: Dictionary(uniqueKeysWithValues: memberships))
    }

    /// Writes a change of an invitation into the log of the vault that it is of, else of the instance.
    func record(
        _ old: Invitation?,
        _ new: Invitation,
        at now: Timestamp,
        _ audit: AuditMaker
    ) throws {
        let entry = audit(
            new.id.text, old.map { .object($0.document(at: now)) }, .object(new.document(at: now)))
        try record(entry.under(.invitationWrite), in: new.vault)
    }

    /// Revokes what waits for somebody's address.
    func endInvitations(for user: User, _ audit: AuditMaker) throws {
        let now = audit(user.id.text, nil, nil).at
        for old in try pendingInvitations(user.emailKey, at: now) {
            var new = old
            new.revokedAt = now
            try send("UPDATE invitations SET revoked_at = \(now.milliseconds) WHERE id = \(old.id.text)")
            try record(old, new, at: now, audit)
        }
    }

    fileprivate func invitation(_ id: InvitationID, of vault: VaultID?) throws -> Invitation? {
        let found = try row("SELECT \(Invitation.columns) FROM invitations WHERE id = \(id.text)")
            .map(Invitation.init(row:))
        guard let vault else { return found }
        return found.flatMap { $0.vault == vault ? $0 : nil }
    }

    /// Says at once that a vault is full; the true check is at the moment of the use.
    fileprivate func checkRoom(for invitation: Invitation) throws {
        let invitee = try user(key: invitation.emailKey)
        for grant in invitation.grants {
            guard let vault = try VaultRepository.find(grant.vault, self) else { continue }
            if let invitee, try membership(of: invitee.id, in: grant.vault) != nil { continue }
            try checkRoomForMember(in: vault)
        }
    }

    fileprivate func scene(_ invitation: Invitation, at now: Timestamp) throws -> InvitationRepository.Scene {
        var place: SQLStatement = "vault_id IS NULL"
        if let vault = invitation.vault { place = "vault_id = \(vault.text)" }
        let pending = try row(
            """
            SELECT COUNT(*) FROM invitations
            WHERE \(InvitationRepository.isPending(at: now)) AND \(place) AND id <> \(invitation.id.text)
            """
        )?.integer(0)
        let others = try pendingInvitations(invitation.emailKey, at: now)
        return InvitationRepository.Scene(
            asker: try standing(invitation.invitedBy), invitee: try user(key: invitation.emailKey),
            isBarred: try isBarred(email: invitation.emailKey), pending: Int(pending ?? 0),
            isRepeated: others.contains { $0.id != invitation.id && $0.vault == invitation.vault })
    }
}
