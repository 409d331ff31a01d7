// Who is signed in, and the way out. A session that has ended leads back to the sign-in page.

const ASK_MS = 15_000;

export async function whoAmI(subject = null) {
  const query = subject === null ? "" : `?${new URLSearchParams({ subject })}`;
  const answer = await fetch(`api/me${query}`, { signal: AbortSignal.timeout(ASK_MS) });
  // The server itself says on the page it gives then what is to be done, or why not.
  if (answer.status === 401 || answer.status === 403) location.reload();
  return answer.ok ? answer.json() : null;
}

function show({ user, annotates }) {
  // The server judges again when something is sent; this only shows where it may be.
  document.body.dataset.annotates = annotates === true ? "yes" : "no";
  if (document.querySelector(".account") !== null) return;
  const name = document.createElement("span");
  name.className = "account-name";
  name.textContent = user;
  const button = document.createElement("button");
  button.className = "account-button";
  button.textContent = "Sign out";
  button.title = `Signed in as ${user}`;
  const form = document.createElement("form");
  form.className = "account";
  form.method = "post";
  form.action = "sign-out";
  form.append(name, button);
  document.querySelector(".bar").append(form);
}

async function ask() {
  try {
    const me = await whoAmI();
    if (me?.user) show(me);
  } catch {
    // The server is away: the banner says so.
  }
  setTimeout(ask, ASK_MS);
}

ask();
