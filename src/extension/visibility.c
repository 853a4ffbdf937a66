/*
 * visibility.c
 *	  Who may see whose rows.
 *
 * Everybody sees their own; superusers and members of imgapi.admin_role see
 * all.  Runs in client backends.
 */
#include "extension/imgapi.h"

#include "extension/settings.h"
#include "miscadmin.h"
#include "utils/acl.h"

PG_FUNCTION_INFO_V1(img_sees);
PG_FUNCTION_INFO_V1(img_sees_as);

bool
img_is_administrator(Oid role)
{
	Oid			admin;

	if (superuser_arg(role))
		return true;
	if (imgapi_admin_role[0] == '\0')
		return false;
	admin = get_role_oid(imgapi_admin_role, true);
	return OidIsValid(admin) && is_member_of_role(role, admin);
}

bool
img_role_sees(Oid owner, Oid role)
{
	return owner == role || img_is_administrator(role);
}

Datum
img_sees(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(img_role_sees(PG_GETARG_OID(0), GetUserId()));
}

Datum
img_sees_as(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(img_role_sees(PG_GETARG_OID(0), PG_GETARG_OID(1)));
}
