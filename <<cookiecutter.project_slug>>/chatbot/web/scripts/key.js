// The cookie comes with each request, local storage stays when cookies are cleared: both are kept
// alike. A key that the browser did not send is new, so one in local storage wins.
const keepKey = () => {
  const stored = attempt(() => JSON.parse(localStorage.getItem(name))[name]);
  const mine = known || !/^k[0-9a-f]{32}$/.test(stored) ? key : stored;
  if (mine !== key) attempt(() => { document.cookie = `${name}=${mine}; ${cookie}`; });
  attempt(() => localStorage.setItem(name, JSON.stringify({ [name]: mine })));
  if (!attempt(() => document.cookie.includes(mine))) {
    const address = new URL(location.href);
    if (!address.searchParams.has("cookies")) {
      address.searchParams.set("cookies", "blocked");
      location.replace(address); // so that the page asks local storage for the key
    } else if (!attempt(() => localStorage.getItem(name).includes(mine))) {
      addEventListener("DOMContentLoaded", () => {
        const sentence = document.createElement("p");
        sentence.role = "status";
        sentence.id = "nothing-kept";
        sentence.textContent = lost;
        document.body.append(sentence);
      });
    }
  }
};
if (key) keepKey();
