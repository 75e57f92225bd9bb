// How sessions begin, go on under new texts, and end.

import JSON
import Logging
package import Model
import SQL
package import Sealing
package import Store

extension SessionKeeper {
    /// Begins a session, always a new one with new texts: what somebody had before the sign-in is worth nothing after it.
    /// - Parameter consume: see `SessionRepository.begin`.
    func begin(
        _ user: User,
        method: Person.Method,
        authenticatedAt: Timestamp?,
        visit: Visit,
        detail: JSONValue?,
        settling settlement: SignInSettlement?,
        _ consume: @escaping @Sendable (UserCredentials, SignInEvidence) throws -> Void
    ) async throws -> SignedIn {
        let (now, texts) = (clock.now(), Self.makeTexts())
        let session = SessionRecord(
            id: ids.next(), user: user.id, method: method, createdAt: now,
            authenticatedAt: min(authenticatedAt ?? now, now), lastUsedAt: now,
            expiresAt: now.adding(seconds: Double(max(configuration.refreshLifetime, configuration.sessionLifetime))),
            address: visit.address, userAgent: visit.userAgent)
        let refreshUntil = now.adding(seconds: Double(configuration.refreshLifetime))
        let records = records
        let standing = try await repository.begin(
            session, texts: texts.digests, refreshUntil: refreshUntil, settling: settlement
        ) {
            user, failures in
            records.entry(
                .sessionBegin, by: visit.actor(id: user.id.text, label: user.email), of: session.id.text,
                [
                    "method": .string(method.rawValue), "detail": detail,
                    "failures_before": failures > 0 ? .integer(Int64(failures)) : nil,
                ])
        } _: { credentials, evidence in
            try consume(credentials, evidence)
        }
        guard let standing else { throw SignInCheck.wrong }
        return try await signedIn(standing, cookie: texts.cookie, refresh: texts.refresh)
    }

    /// Gets the next access token, refresh token and cookie of a session; the ones before are worth nothing then.
    /// - Throws: `unauthorized`. A token that comes a second time ends its session, and the audit log says so.
    package func refresh(_ token: Secret<String>, visit: Visit) async throws -> SignedIn {
        let text = token.reveal()
        guard text.hasPrefix(Self.refreshPrefix), text.utf8.count == Self.refreshPrefix.utf8.count + Self.cookieLength
        else { throw Self.badSession }
        let (now, texts, records) = (clock.now(), Self.makeTexts(), records)
        let answer = try await repository.refresh(Digest.sha256(text), texts: texts.digests, at: now) { user, session in
            records.entry(
                .sessionEnd, by: visit.actor(id: user.id.text, label: user.email), of: session.id.text,
                failingBecause: SessionRecord.EndReason.refreshReuse)
        }
        switch answer {
        case .renewed(let standing):
            forget(standing.session.id)
            return try await signedIn(standing, cookie: texts.cookie, refresh: texts.refresh)
        case .stolen(let session):
            forget(session.id)
            tell(session.user, .sessionStolen, from: visit.address)
            logger.warning(
                "a refresh token was used twice, and its session ended",
                metadata: [
                    "session": "\(session.id)", "user": "\(session.user)", "address": "\(visit.address ?? "unknown")",
                ])
            throw Self.badSession
        case .refused: throw Self.badSession
        }
    }

    /// Has somebody who is signed in show again who they are: by password, with the code where they have a second factor; by
    /// code alone where they have no password. The session goes by new texts then.
    ///
    /// Attempts count against the person, apart from sign-ins: who locks those does not lock this.
    /// - Throws: as `SignInDesk.signIn`.
    package func reauthenticate(
        _ person: Person,
        password: Secret<String>?,
        code: Secret<String>?,
        visit: Visit
    ) async throws -> SignedIn {
        let question = SignInCheck.Question(
            email: person.email, person: person.id, password: password, code: code, action: .accountSecure, visit: visit
        )
        return try await check.pass(question) { passed in
            guard passed.user.id == person.id else { throw SignInCheck.Refusal.changed }
            return try await renew(
                person, method: passed.method, authenticatedAt: nil, visit: visit, settling: passed.settlement,
                passed.use)
        }
    }

    /// As `reauthenticate`, where single sign-on found out who they are.
    /// - Parameter authenticatedAt: when they showed it there, where that was before now.
    package func renew(
        _ person: Person,
        method: Person.Method,
        authenticatedAt: Timestamp? = nil,
        visit: Visit
    ) async throws -> SignedIn {
        try await renew(
            person, method: method, authenticatedAt: authenticatedAt, visit: visit, settling: nil
        ) { now, _ in
            guard now.user.isActive else { throw SignInCheck.disabled }
        }
    }

    /// The sessions of somebody that live, newest first.
    package func sessions(of user: UserID) async throws -> [SessionRecord] {
        try await repository.alive(of: user, at: clock.now())
    }

    /// Ends a session of somebody.
    /// - Parameter audit: makes the entry where somebody else does it; without it, it is their own sign-out.
    /// - Returns: false where they have no such session (any more).
    @discardableResult
    package func end(
        _ id: SessionID,
        of user: UserID,
        visit: Visit,
        audit: AuditMaker? = nil
    ) async throws -> Bool {
        let records = records
        let reason = audit == nil ? SessionRecord.EndReason.signedOut : SessionRecord.EndReason.revoked
        let ended = try await repository.end(id, of: user, reason: reason, at: clock.now()) { user, session in
            audit?(session.id.text, .object(session.document), nil)
                ?? records.entry(
                    .sessionEnd, by: visit.actor(id: user.id.text, label: user.email), of: session.id.text,
                    ["reason": .string(reason)])
        }
        forget(id)
        return ended != nil
    }

    /// Ends all sessions of somebody, but perhaps one.
    /// - Returns: how many ended; the entry is written where there were any.
    @discardableResult
    package func endAll(
        of user: UserID,
        except kept: SessionID? = nil,
        reason: String = SessionRecord.EndReason.revoked,
        audit: @escaping AuditMaker
    ) async throws -> Int {
        let ended = try await repository.endAll(of: user, except: kept, reason: reason, at: clock.now()) { ended in
            audit(
                user.text, .object(JSONObject(["sessions": .integer(Int64(ended))])),
                .object(JSONObject(["reason": .string(reason)])))
        }
        forget([user])
        return ended
    }

    private func renew(
        _ person: Person,
        method: Person.Method,
        authenticatedAt: Timestamp?,
        visit: Visit,
        settling settlement: SignInSettlement?,
        _ consume: @escaping @Sendable (UserCredentials, SignInEvidence) throws -> Void
    ) async throws -> SignedIn {
        let (now, texts, records) = (clock.now(), Self.makeTexts(), records)
        let standing = try await repository.renew(
            person.session, as: method, texts: texts.digests, authenticatedAt: min(authenticatedAt ?? now, now),
            at: now,
            settling: settlement
        ) { user in
            records.entry(
                .sessionBegin, by: visit.actor(id: user.id.text, label: user.email), of: person.session.text,
                ["method": .string(method.rawValue), "again": .bool(true)])
        } _: { credentials, evidence in
            try consume(credentials, evidence)
        }
        guard let standing else { throw Self.badSession }
        forget(person.session)
        return try await signedIn(standing, cookie: texts.cookie, refresh: texts.refresh)
    }
}
