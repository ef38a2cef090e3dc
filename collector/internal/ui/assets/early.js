// Sets the chosen theme before the first paint; without a choice the browser's preference holds.
(function () {
  try {
    var chosen = localStorage.getItem('plimsoll-theme');
    if (chosen === 'dark' || chosen === 'light') document.documentElement.dataset.theme = chosen;
  } catch (_) { /* storage is off: the preference holds */ }
})();
