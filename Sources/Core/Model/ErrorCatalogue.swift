// Every error code that Postern answers with: its HTTP status, its SMTP reply, and what to do. `docs/errors.md` is
// generated from here.

package enum ErrorCode: String, Sendable, CaseIterable {
    case malformedJSON = "malformed_json"
    case malformedForm = "malformed_form"
    case unsupportedMediaType = "unsupported_media_type"
    case validationFailed = "validation_failed"
    case malformedMessage = "malformed_message"
    case messageTooLarge = "message_too_large"
    case tooManyRecipients = "too_many_recipients"
    case unauthorized
    case forbidden
    case senderDomainNotAllowed = "sender_domain_not_allowed"
    case settingUnset = "setting_unset"
    case notFound = "not_found"
    case methodNotAllowed = "method_not_allowed"
    case conflict
    case idempotencyConflict = "idempotency_conflict"
    case unsupportedFeature = "unsupported_feature"
    case noIPPool = "no_ip_pool"
    case rateLimited = "rate_limited"
    case burstExceeded = "burst_exceeded"
    case approvalRequired = "approval_required"
    case repeatedMessage = "repeated_message"
    case mailLoop = "mail_loop"
    case vaultRequired = "vault_required"
    case vaultSuspended = "vault_suspended"
    case vaultArchived = "vault_archived"
    case secondFactorRequired = "second_factor_required"
    case reauthenticationRequired = "reauthentication_required"
    case tooManyAttempts = "too_many_attempts"
    case csrfRefused = "csrf_refused"
    case weakPassword = "weak_password"
    case lastOwner = "last_owner"
    case invitationInvalid = "invitation_invalid"
    case signInRefused = "sign_in_refused"
    case signInUnavailable = "sign_in_unavailable"
    case planLimitReached = "plan_limit_reached"
    case featureNotInPlan = "feature_not_in_plan"
    case overloaded
    case storageUnavailable = "storage_unavailable"
    case mailerqUnauthorized = "mailerq_unauthorized"
    case mailerqUnavailable = "mailerq_unavailable"
    case mailerqTimeout = "mailerq_timeout"
    case internalError = "internal_error"
}

package struct ErrorEntry: Sendable {
    package let httpStatus: Int
    /// Reply code and enhanced code (RFC 3463) at the SMTP door.
    package let smtpCode: UInt16
    package let smtpEnhanced: (UInt16, UInt16, UInt16)
    package let title: String
    package let fix: String
}

extension ErrorCode {
    package var entry: ErrorEntry {
        switch self {
        case .malformedJSON:
            ErrorEntry(
                httpStatus: 400, smtpCode: 554, smtpEnhanced: (5, 6, 0), title: "The body is not JSON",
                fix: "Send one JSON document in UTF-8 without duplicate member names.")
        case .malformedForm:
            ErrorEntry(
                httpStatus: 400, smtpCode: 554, smtpEnhanced: (5, 6, 0), title: "The form cannot be read",
                fix: "Send application/x-www-form-urlencoded or multipart/form-data as RFC 7578 describes it, in UTF-8."
            )
        case .unsupportedMediaType:
            ErrorEntry(
                httpStatus: 415, smtpCode: 554, smtpEnhanced: (5, 6, 1), title: "The content type is not understood",
                fix: "Send the Content-Type that the path documents, most often application/json.")
        case .validationFailed:
            ErrorEntry(
                httpStatus: 422, smtpCode: 554, smtpEnhanced: (5, 6, 0), title: "The request is not valid",
                fix: "Correct the fields listed under errors; /openapi.json describes each one.")
        case .malformedMessage:
            ErrorEntry(
                httpStatus: 422, smtpCode: 554, smtpEnhanced: (5, 6, 0),
                title: "The message breaks the mail standards",
                fix: "End every line with CRLF, send no NUL, and give each of From, To, Subject, Date once.")
        case .messageTooLarge:
            ErrorEntry(
                httpStatus: 413, smtpCode: 552, smtpEnhanced: (5, 3, 4), title: "The message is too large",
                fix: "Send less, or raise POSTERN_MAX_MESSAGE_BYTES.")
        case .tooManyRecipients:
            ErrorEntry(
                httpStatus: 422, smtpCode: 452, smtpEnhanced: (4, 5, 3), title: "Too many recipients",
                fix: "Split the recipients over several submissions, or raise POSTERN_MAX_RECIPIENTS.")
        case .unauthorized:
            ErrorEntry(
                httpStatus: 401, smtpCode: 535, smtpEnhanced: (5, 7, 8), title: "Not signed in",
                fix: "Send a valid key as Authorization: Bearer ak_…, or sign in by SMTP AUTH.")
        case .forbidden:
            ErrorEntry(
                httpStatus: 403, smtpCode: 550, smtpEnhanced: (5, 7, 1), title: "Not allowed",
                fix: "Use a key whose scopes allow this; GET /v1/me lists yours.")
        case .senderDomainNotAllowed:
            ErrorEntry(
                httpStatus: 403, smtpCode: 550, smtpEnhanced: (5, 7, 1), title: "The sender's domain is not allowed",
                fix: "Send from a domain in the vault's allowed_sender_domains, or have the domain added there.")
        case .settingUnset:
            ErrorEntry(
                httpStatus: 422, smtpCode: 451, smtpEnhanced: (4, 3, 5), title: "A setting has no value",
                fix: "Set it for the vault (PATCH /v1/settings) or for the instance (POSTERN_DEFAULT_…).")
        case .notFound:
            ErrorEntry(
                httpStatus: 404, smtpCode: 550, smtpEnhanced: (5, 1, 1), title: "Not found",
                fix: "Check the path and the id; a thing of another vault is not found either.")
        case .methodNotAllowed:
            ErrorEntry(
                httpStatus: 405, smtpCode: 502, smtpEnhanced: (5, 5, 1), title: "The method is not allowed here",
                fix: "Use a method that /openapi.json lists for the path.")
        case .conflict:
            ErrorEntry(
                httpStatus: 409, smtpCode: 554, smtpEnhanced: (5, 5, 0), title: "Not possible in the present state",
                fix: "Read the resource again and decide anew.")
        case .idempotencyConflict:
            ErrorEntry(
                httpStatus: 409, smtpCode: 554, smtpEnhanced: (5, 5, 0),
                title: "The idempotency key was used for another submission",
                fix: "Use a new key for a new submission, and the same body when you repeat one.")
        case .unsupportedFeature:
            ErrorEntry(
                httpStatus: 422, smtpCode: 554, smtpEnhanced: (5, 6, 0),
                title: "The payload asks for something that Postern does not do",
                fix: "Leave out the fields that errors names; docs/dialects.md lists what each dialect takes.")
        case .noIPPool:
            ErrorEntry(
                httpStatus: 422, smtpCode: 451, smtpEnhanced: (4, 3, 5), title: "There is no pool of sending addresses",
                fix:
                    "Make the pool (POST /v1/ip-pools), or set ip_pool_missing to default, which leaves the choice to MailerQ."
            )
        case .rateLimited:
            ErrorEntry(
                httpStatus: 429, smtpCode: 451, smtpEnhanced: (4, 7, 1), title: "Too many messages in this time",
                fix: "Send again after the time that the answer names; GET /v1/me shows what is left of a key's limits."
            )
        case .burstExceeded:
            ErrorEntry(
                httpStatus: 422, smtpCode: 452, smtpEnhanced: (4, 5, 3),
                title: "More messages at once than the limit ever allows",
                fix: "Split the recipients over several submissions, or have the burst limit raised.")
        case .approvalRequired:
            ErrorEntry(
                httpStatus: 403, smtpCode: 550, smtpEnhanced: (5, 7, 1), title: "A person has to approve this",
                fix: "Have a person send it, or have the setting changed that the detail names.")
        case .repeatedMessage:
            ErrorEntry(
                httpStatus: 429, smtpCode: 554, smtpEnhanced: (5, 7, 1),
                title: "The same message went to this recipient too often",
                fix: "Find out why the caller repeats itself; the setting that the detail names allows more in an hour."
            )
        case .mailLoop:
            ErrorEntry(
                httpStatus: 422, smtpCode: 554, smtpEnhanced: (5, 4, 6), title: "The message goes in circles",
                fix: "Have the caller answer no automatic mail, no list and not itself (RFC 3834 section 2).")
        case .vaultRequired:
            ErrorEntry(
                httpStatus: 422, smtpCode: 554, smtpEnhanced: (5, 5, 0), title: "The request names no vault",
                fix:
                    "Name it in X-Postern-Vault, by id or slug; GET /auth/me lists the vaults that you are a member of."
            )
        case .vaultSuspended:
            ErrorEntry(
                httpStatus: 403, smtpCode: 450, smtpEnhanced: (4, 7, 1), title: "The vault is suspended",
                fix: "An admin of the instance resumes it (POST /api/vaults/{id}/resume); what waits is sent then.")
        case .vaultArchived:
            ErrorEntry(
                httpStatus: 403, smtpCode: 550, smtpEnhanced: (5, 7, 1), title: "The vault is archived",
                fix: "An admin of the instance restores it (POST /api/vaults/{id}/restore).")
        case .secondFactorRequired:
            ErrorEntry(
                httpStatus: 401, smtpCode: 535, smtpEnhanced: (5, 7, 8), title: "A second factor is needed",
                fix: "Give the code that your authenticator shows as totp, or one of your recovery codes.")
        case .reauthenticationRequired:
            ErrorEntry(
                httpStatus: 403, smtpCode: 535, smtpEnhanced: (5, 7, 8), title: "Show again who you are",
                fix: "POST /auth/reauthenticate with your password (postern login --again), then repeat the request.")
        case .tooManyAttempts:
            ErrorEntry(
                httpStatus: 429, smtpCode: 454, smtpEnhanced: (4, 7, 0), title: "Too many failed attempts",
                fix: "Try again after the time in Retry-After.")
        case .csrfRefused:
            ErrorEntry(
                httpStatus: 403, smtpCode: 554, smtpEnhanced: (5, 7, 1),
                title: "The request does not show that a page of Postern sent it",
                fix: "Send the value of the cookie postern_csrf in X-CSRF-Token; programs use a bearer token instead.")
        case .weakPassword:
            ErrorEntry(
                httpStatus: 422, smtpCode: 554, smtpEnhanced: (5, 6, 0), title: "The password is too easy to guess",
                fix: "Choose one of at least 12 characters that nobody else uses, such as four unrelated words.")
        case .lastOwner:
            ErrorEntry(
                httpStatus: 409, smtpCode: 554, smtpEnhanced: (5, 5, 0), title: "There has to be an owner",
                fix: "Make somebody else an owner first.")
        case .invitationInvalid:
            ErrorEntry(
                httpStatus: 404, smtpCode: 554, smtpEnhanced: (5, 5, 0), title: "The link does not work (any more)",
                fix: "Ask for a new one: links work once, and only for a time.")
        case .signInRefused:
            ErrorEntry(
                httpStatus: 403, smtpCode: 535, smtpEnhanced: (5, 7, 8), title: "The sign-in was refused",
                fix: "Ask an admin of the instance: the account may be disabled, or not be meant for this instance.")
        case .signInUnavailable:
            ErrorEntry(
                httpStatus: 502, smtpCode: 454, smtpEnhanced: (4, 7, 0),
                title: "The sign-in service gives no usable answer",
                fix: "Try again; the operator looks at POSTERN_OIDC_ISSUER and at the server's log.")
        case .planLimitReached:
            ErrorEntry(
                httpStatus: 403, smtpCode: 452, smtpEnhanced: (4, 5, 3), title: "The vault's plan allows no more",
                fix: "GET /v1/usage shows what is used; an owner of the instance changes the plan or its limits.")
        case .featureNotInPlan:
            ErrorEntry(
                httpStatus: 403, smtpCode: 550, smtpEnhanced: (5, 7, 1),
                title: "The vault's plan does not include this",
                fix: "An owner of the instance changes the plan (PUT /api/vaults/{id}/plan).")
        case .overloaded:
            ErrorEntry(
                httpStatus: 503, smtpCode: 452, smtpEnhanced: (4, 3, 1), title: "Too much is waiting",
                fix: "Try again after the time in Retry-After.")
        case .storageUnavailable:
            ErrorEntry(
                httpStatus: 503, smtpCode: 452, smtpEnhanced: (4, 3, 0), title: "The database cannot take it now",
                fix: "Try again after the time in Retry-After; the operator finds the cause in /readyz and the log.")
        case .mailerqUnauthorized:
            ErrorEntry(
                httpStatus: 502, smtpCode: 451, smtpEnhanced: (4, 3, 5), title: "MailerQ does not let Postern in",
                fix: "The operator corrects POSTERN_MAILERQ_TOKEN (or _USERNAME, _PASSWORD); your key is not the cause."
            )
        case .mailerqUnavailable:
            ErrorEntry(
                httpStatus: 502, smtpCode: 451, smtpEnhanced: (4, 4, 1), title: "MailerQ gives no usable answer",
                fix: "Try again; the operator looks at POSTERN_MAILERQ_URL and at MailerQ's management console.")
        case .mailerqTimeout:
            ErrorEntry(
                httpStatus: 504, smtpCode: 451, smtpEnhanced: (4, 4, 2), title: "MailerQ does not answer in time",
                fix: "Try again; after an operation that changes something, read first whether it happened.")
        case .internalError:
            ErrorEntry(
                httpStatus: 500, smtpCode: 451, smtpEnhanced: (4, 3, 0), title: "Postern made a mistake",
                fix: "Try again; if it happens again, report the X-Request-Id to the operator.")
        }
    }
}
