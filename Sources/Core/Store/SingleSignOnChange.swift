// What a provider's word changes of one person: the account is linked, made or turned away, and its role and memberships follow
// the groups.

import JSON
import Model
import SQL

/// One admission, inside its transaction.
struct SingleSignOnChange {
    let connection: any SQLConnection
    let identity: ProvenIdentity
    let grants: GroupGrants
    let now: Timestamp
    let audit: AuditMaker

    func admit(newcomer id: UserID, expecting person: UserID?) throws -> SingleSignOnAdmission {
        if let known = try connection.identity(identity) {
            guard person == nil || person == known else { return .refused(.otherPerson, nil) }
            guard let user = try connection.lockedUser(known) else { return .refused(.unknown, nil) }
            guard user.isActive else { return try turnAway(user, .disabled) }
            try connection.send(
                """
                UPDATE user_identities SET last_used_at = \(now.milliseconds)
                WHERE issuer = \(identity.issuer) AND subject = \(identity.subject)
                """)
            return try settle(user)
        }
        guard let email = identity.email else { return .refused(person == nil ? .unverified : .otherPerson, nil) }
        let key = User.key(of: email)
        guard try !connection.isBarred(email: key, issuer: identity.issuer, subject: identity.subject) else {
            return .refused(.barred, nil)
        }
        if let found = try connection.user(key: key), let user = try connection.lockedUser(found.id) {
            guard person == nil || person == user.id else { return .refused(.otherPerson, nil) }
            return try link(user, isSignedIn: person == user.id)
        }
        guard person == nil else { return .refused(.otherPerson, nil) }
        return try make(id, email)
    }

    /// An address can pass to another person at the provider; an account does not pass with it.
    /// - Parameter isSignedIn: whether it is somebody who has a session of the account as well.
    private func link(_ user: User, isSignedIn: Bool) throws -> SingleSignOnAdmission {
        guard user.isActive else { return .refused(.disabled, user) }
        let other = try connection.row(
            "SELECT 1 FROM user_identities WHERE user_id = \(user.id.text) AND issuer = \(identity.issuer)")
        guard other == nil else { return .refused(.otherIdentity, user) }
        guard isWelcome else { return .refused(.noGroup, user) }
        try insertIdentity(of: user)
        if isSignedIn { return try settle(user) }
        let own = try takeKeys(of: user)
        return try settle(own.user, own.isChanged ? [.joined] : [])
    }

    /// Nobody can tell who set the password of an account: an invitation's link may have been in other hands than those of
    /// the mailbox's owner. The provider's word proves the owner, and whatever else opens the account ends with it.
    private func takeKeys(of user: User) throws -> (user: User, isChanged: Bool) {
        try connection.deleteOneTimeTokens(of: user.id)
        let codes = try connection.execute("DELETE FROM recovery_codes WHERE user_id = \(user.id.text)")
        let keys = try connection.execute(
            """
            UPDATE users SET password_hash = NULL, password_changed_at = NULL, totp_secret = NULL,
                totp_candidate = NULL, totp_step = NULL, totp_since = NULL, updated_at = \(now.milliseconds)
            WHERE id = \(user.id.text)
                AND (password_hash IS NOT NULL OR totp_secret IS NOT NULL OR totp_candidate IS NOT NULL)
            """)
        let sessions = try connection.endSessions(
            of: user.id, reason: SessionRecord.EndReason.identityJoined, at: now)
        guard codes + keys + sessions > 0, let bare = try connection.user(user.id) else { return (user, false) }
        try connection.record(
            audit(user.id.text, .object(user.document), .object(bare.document)).under(.userWrite), in: nil)
        return (bare, true)
    }

    private func make(_ id: UserID, _ email: String) throws -> SingleSignOnAdmission {
        guard isWelcome, let role = grants.newcomer else { return .refused(.unknown, nil) }
        let user = User(id: id, email: email, name: identity.name ?? email, role: role, createdAt: now)
        try connection.insert(user, passwordHash: nil)
        try connection.record(audit(id.text, nil, .object(user.document)).under(.userWrite), in: nil)
        try insertIdentity(of: user)
        return try settle(user)
    }

    private var isWelcome: Bool { if case .none = grants.role { false } else { true } }

    private func insertIdentity(of user: User) throws {
        try connection.send(
            """
            INSERT INTO user_identities (issuer, subject, user_id, created_at, last_used_at)
            VALUES (\(identity.issuer), \(identity.subject), \(user.id.text), \(now.milliseconds),
                \(now.milliseconds))
            """)
        let linked = JSONObject(["issuer": .string(identity.issuer), "subject": .string(identity.subject)])
        try connection.record(
            audit(user.id.text, nil, .object(JSONObject(["identity": .object(linked)]))).under(.userWrite), in: nil)
    }

    /// Gives and takes what the groups say.
    private func settle(
        _ old: User,
        _ told: [SingleSignOnAdmission.Note] = []
    ) throws -> SingleSignOnAdmission {
        guard isWelcome else { return try turnAway(old, .noGroup) }
        var user = old
        var notes = told
        if case .role(let role) = grants.role, role != user.role {
            if user.role == .owner, try connection.activeOwners(except: user.id) == 0 {
                notes.append(.lastOwner)
            } else {
                (user.role, user.updatedAt) = (role, now)
                // A link that somebody made for who they were must not open the account of who they are now.
                if role > old.role { try connection.deleteOneTimeTokens(of: user.id) }
                try write(old, user)
            }
        }
        try setMemberships(of: user, grants.vaults, &notes)
        return .admitted(user, notes: notes)
    }

    private func write(_ old: User, _ user: User) throws {
        try connection.send(
            """
            UPDATE users SET role = \(user.role.rawValue), updated_at = \(now.milliseconds)
            WHERE id = \(user.id.text)
            """)
        try connection.record(
            audit(user.id.text, .object(old.document), .object(user.document)).under(.userWrite), in: nil)
    }

    /// Who has no place any more loses at least what the groups once gave, and the sessions that the provider began.
    private func turnAway(
        _ old: User,
        _ reason: SingleSignOnAdmission.Refusal
    ) throws -> SingleSignOnAdmission {
        var user = old
        if !isWelcome {
            let isLast =
                user.role == .owner && user.isActive
                ? try connection.activeOwners(except: user.id) == 0 : false
            if user.role != .viewer, !isLast {
                (user.role, user.updatedAt) = (.viewer, now)
                try write(old, user)
            }
            var notes: [SingleSignOnAdmission.Note] = []
            try setMemberships(of: user, [:], &notes)
        }
        let ended = try connection.execute(
            """
            UPDATE sessions SET ended_at = \(now.milliseconds), end_reason = \(SessionRecord.EndReason.turnedAway)
            WHERE user_id = \(user.id.text) AND method = \(Person.Method.openID.rawValue) AND ended_at IS NULL
                AND expires_at > \(now.milliseconds)
            """)
        if ended > 0 {
            let count = JSONObject(["sessions": .integer(Int64(ended))])
            try connection.record(audit(user.id.text, .object(count), nil).under(.sessionEnd), in: nil)
        }
        return .refused(reason, user)
    }

    private func setMemberships(
        of user: User,
        _ wanted: [VaultID: VaultRole],
        _ notes: inout [SingleSignOnAdmission.Note]
    ) throws {
        let present = try connection.memberships(of: user.id)
        for old in present where old.source == .groups {
            let role = wanted[old.vault]
            guard role != old.role, try !isArchived(old.vault) else { continue }
            // A vault without an owner could not be looked after by anybody.
            if old.role == .owner, try connection.owners(of: old.vault, except: user.id) == 0 {
                notes.append(.lastOwnerOfVault(old.vault))
                continue
            }
            guard let role else {
                try connection.remove(old)
                try connection.record(old, nil, user.email, audit)
                continue
            }
            var new = old
            (new.role, new.updatedAt) = (role, now)
            try connection.put(new)
            try connection.record(old, new, user.email, audit)
        }
        let known = Set(present.map(\.vault))
        for (vault, role) in wanted.sorted(by: { $0.key < $1.key }) where !known.contains(vault) {
            guard try !isArchived(vault) else { continue }
            if let room = grants.room[vault], try connection.members(of: vault) >= room {
                notes.append(.noRoom(vault))
                continue
            }
            let new = Membership(vault: vault, user: user.id, role: role, source: .groups, createdAt: now)
            try connection.put(new)
            try connection.record(nil, new, user.email, audit)
        }
    }

    /// Nothing changes in such a vault; the first sign-in after it came back makes up for it.
    private func isArchived(_ vault: VaultID) throws -> Bool {
        try VaultRepository.find(vault, connection)?.state == .archived
    }
}

extension SessionRecord.EndReason {
    /// The account was joined with an identity at the provider of single sign-on.
    static let identityJoined = "identity_joined"
    /// The provider's word gives the person no place any more.
    static let turnedAway = "turned_away"
}
