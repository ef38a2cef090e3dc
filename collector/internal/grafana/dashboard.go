package grafana

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/grafana/grafana-openapi-client-go/client/dashboards"
	"github.com/grafana/grafana-openapi-client-go/client/search"
	"github.com/grafana/grafana-openapi-client-go/models"
)

// dashboard brings one dashboard into the folder, with the content as it is shipped.
func (r *round) dashboard(ctx context.Context, c content, folder string) {
	s, err := r.putDashboard(ctx, c, folder)
	if err != nil {
		r.fail(c.uid, err)
		return
	}
	r.done(c.uid, s)
}

func (r *round) putDashboard(ctx context.Context, c content, folder string) (state, error) {
	found, err := r.api.Dashboards.GetDashboardByUIDWithParams(dashboards.NewGetDashboardByUIDParamsWithContext(ctx).WithUID(c.uid))
	if statusOf(err) == http.StatusNotFound {
		return r.wants(created, func() error { return r.save(ctx, c, folder, 0) })
	}
	if err != nil {
		return "", r.api.explain("read dashboard "+c.uid, err)
	}
	meta := found.Payload.Meta
	if meta.Provisioned {
		return provisioned, nil
	}
	moved := meta.FolderUID != folder
	same, err := c.sameAs(found.Payload.Dashboard)
	if err != nil {
		return "", err
	}
	if !moved && (same || r.p.written[c.uid] == meta.Version) {
		return unchanged, nil
	}

	head, err := r.api.newestVersion(ctx, c.uid)
	if err != nil {
		return "", err
	}
	// A Grafana that stores dashboards in another form gives back something else than it was given; then the message
	// of the newest version says whether the last save was this very content.
	if !moved && head.Message == c.message {
		r.p.written[c.uid] = meta.Version
		return unchanged, nil
	}
	if !moved && ours(head) {
		return r.wants(updated, func() error { return r.save(ctx, c, folder, meta.Version) })
	}
	if r.p.cfg.Edits == Keep {
		return edited, nil
	}
	if s, err := r.wants(repaired, func() error { return r.save(ctx, c, folder, meta.Version) }); err != nil || s != repaired {
		return s, err
	}
	r.p.log.Warn("a dashboard was changed in Grafana and is put back; the changed version stays in its history",
		"uid", c.uid, "version", head.Number, "by", head.By, "message", head.Message, "moved", moved)
	return repaired, nil
}

// save writes over exactly the version that was read: should somebody save in between, Grafana answers 412 and the
// next round looks again. Overwrite stays off, because in Grafana 10 it also takes over a dashboard of somebody else
// that has the same title in the folder.
func (r *round) save(ctx context.Context, c content, folder string, over int64) error {
	saved, err := r.api.Dashboards.PostDashboardWithParams(dashboards.NewPostDashboardParamsWithContext(ctx).WithBody(&models.SaveDashboardCommand{
		Dashboard: c.withVersion(over),
		FolderUID: folder,
		Message:   c.message,
	}))
	if err != nil {
		return r.api.explain(fmt.Sprintf("save dashboard %s (%q)", c.uid, c.title), err)
	}
	if saved.Payload.Version != nil {
		r.p.written[c.uid] = *saved.Payload.Version
	}
	return nil
}

// prune deletes the dashboards an older release published here and this one no longer ships: those in the folder that
// have the tag and the uid prefix, are not provisioned, and were last saved by this package.
func (r *round) prune(ctx context.Context, folder string) {
	kind := "dash-db"
	found, err := r.api.Search.Search(search.NewSearchParamsWithContext(ctx).WithTag([]string{ownTag}).WithType(&kind).WithFolderUIDs([]string{folder}))
	if err != nil {
		r.fail(targetFolder, r.api.explain("look for dashboards that are no longer shipped", err))
		return
	}
	for _, hit := range found.Payload {
		if hit.FolderUID != folder || !strings.HasPrefix(hit.UID, ownUIDPrefix) || r.p.ships(hit.UID) {
			continue
		}
		s, err := r.pruneDashboard(ctx, hit.UID)
		if err != nil {
			r.fail(targetFolder, err)
			continue
		}
		r.done(targetFolder, s)
	}
}

func (r *round) pruneDashboard(ctx context.Context, uid string) (state, error) {
	found, err := r.api.Dashboards.GetDashboardByUIDWithParams(dashboards.NewGetDashboardByUIDParamsWithContext(ctx).WithUID(uid))
	if err != nil {
		return "", r.api.explain("read dashboard "+uid, err)
	}
	if found.Payload.Meta.Provisioned {
		return provisioned, nil
	}
	head, err := r.api.newestVersion(ctx, uid)
	if err != nil {
		return "", err
	}
	if !ours(head) {
		return edited, nil
	}
	return r.wants(pruned, func() error {
		if _, err := r.api.Dashboards.DeleteDashboardByUIDWithParams(dashboards.NewDeleteDashboardByUIDParamsWithContext(ctx).WithUID(uid)); err != nil {
			return r.api.explain("delete dashboard "+uid, err)
		}
		r.p.log.Info("a dashboard that is no longer shipped was deleted from Grafana", "uid", uid)
		return nil
	})
}

func (p *Publisher) ships(uid string) bool {
	for _, c := range p.shipped {
		if c.uid == uid {
			return true
		}
	}
	return false
}
